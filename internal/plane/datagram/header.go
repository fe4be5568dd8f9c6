package datagram

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"

	"pen/internal/edge"
	"pen/internal/wire"
)

// An Accept says whose datagrams begin with a PROXY header, which tells who the
// client is. From nobody else is a header looked for. It is not changed once a
// plane has it.
type Accept struct {
	Networks []netip.Prefix
	Unix     bool // whoever sends to a Unix socket
	// First says that only the first datagram of a flow has a header, and all
	// that a proxy sends from one port is one flow. Otherwise each one must.
	First bool
}

// SetAccept has datagrams that come from now on be read as a says. It may be
// called at any time.
func (p *Plane) SetAccept(a *Accept) { p.accept.Store(a) }

var errNoHeader = errors.New("no PROXY header of version 2 for datagrams")

// identify takes the PROXY header off a datagram, if it must have one, and notes
// in from whose it is. It returns what is known of the client, and its bytes.
func (p *Plane) identify(from *peer, b []byte) (wire.Header, []byte, error) {
	own := wire.Header{Datagram: true, Source: from.addr, Destination: p.asked(*from)}
	a := p.accept.Load()
	if from.addr.IsValid() && !edge.Contains(a.Networks, from.addr.Addr()) || !from.addr.IsValid() && !a.Unix {
		return own, b, nil
	}
	if a.First && p.flows.of[*from] != nil {
		return own, b, nil
	}
	h, n, err := wire.ParseHeader(b)
	if err != nil || b[0] != '\r' {
		return own, nil, errNoHeader
	}
	if !h.Local && h.Source.IsValid() {
		if !h.Datagram {
			return own, nil, errNoHeader
		}
		own = h
		if !a.First {
			from.client = h.Source
		}
	}
	return own, b[n:], nil
}

// asked is the address of ours that a client has sent to.
func (p *Plane) asked(from peer) netip.AddrPort {
	at, ok := p.ln.Addr().(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	if from.asked.IsValid() {
		return netip.AddrPortFrom(from.asked.Unmap(), uint16(at.Port))
	}
	return netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), uint16(at.Port))
}

// dress returns a datagram as the server is to get it: with a header where that
// is due. The Plane's lock is held; the bytes are good until it is given back.
func (f *flow) dress(b []byte) []byte {
	preamble := edge.PreambleOf(f.target.Preamble)
	if preamble.Header == 0 || f.headed && !preamble.Each {
		return b
	}
	if preamble.TLVs.UniqueID && f.header.UniqueID == "" {
		f.header.UniqueID = rand.Text()
	}
	f.plane.dressed = append(preamble.Append(f.plane.dressed[:0], f.header), b...)
	return f.plane.dressed
}
