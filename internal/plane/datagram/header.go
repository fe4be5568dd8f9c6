package datagram

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"

	"pen/internal/edge"
	"pen/internal/wire"
)

var errNoHeader = errors.New("no PROXY header of version 2 for datagrams")

// identify takes the PROXY header off a datagram, if it must have one, and notes
// in from whose it is. It returns what is known of the client, and its bytes.
func (p *Plane) identify(from *peer, b []byte) (wire.Header, []byte, error) {
	own := wire.Header{Datagram: true, Source: from.addr, Destination: p.asked(*from)}
	proxies := &p.ends.Load().Proxies
	if !proxies.Include(from.addr.Addr()) || proxies.First && p.flows.of[*from] != nil {
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
		if !proxies.First {
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
