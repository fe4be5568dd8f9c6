package wire

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
)

// FuzzHeader: whatever comes, what is read says the same when it is written and
// read again; it doesn't depend on how the bytes are split; and the library
// agrees where both take something for a header.
func FuzzHeader(f *testing.F) {
	for _, r := range rules {
		for in := range r.accept {
			f.Add([]byte(in+"and more"), uint16(len(in)/2))
		}
		for _, in := range r.refuse {
			f.Add([]byte(in), uint16(len(in)/2))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, at uint16) {
		h, n, err := ParseHeader(b)
		if cut := b[:min(int(at), len(b))]; len(cut) < len(b) {
			early, earlyN, earlyErr := ParseHeader(cut)
			if earlyErr != ErrShort && (early != h || earlyN != n || (earlyErr == nil) != (err == nil)) {
				t.Errorf("%d of %d bytes: %+v, %d, %v; all: %+v, %d, %v", at, len(b), early, earlyN, earlyErr, h, n, err)
			}
		}
		if err != nil {
			if h != (Header{}) || n != 0 || len(b) >= MaxHeader && err == ErrShort {
				t.Errorf("%+v, %d bytes with %v", h, n, err)
			}
			return
		}
		if n > len(b) || n > MaxHeader {
			t.Fatalf("a header of %d bytes in %d", n, len(b))
		}
		checkHeader(t, h, n)
		compareHeader(t, h, b[:n])
	})
}

// checkHeader tests what is so of every header of n bytes.
func checkHeader(t *testing.T, h Header, n int) {
	if h.Source.IsValid() != h.Destination.IsValid() || h.Source.Addr().Is4In6() || h.Source.Addr().Zone() != "" || len(h.UniqueID) > maxUniqueID {
		t.Errorf("%+v", h)
	}
	if h.Local && h != (Header{Local: true}) {
		t.Errorf("local, and %+v", h)
	}
	head := h.Append(nil, 2)
	if again, m, err := ParseHeader(head); again != h || m != len(head) || err != nil {
		t.Errorf("%+v of %d bytes is %q, which is %+v of %d bytes, %v", h, n, head, again, m, err)
	}
	line := h.Append(nil, 1)
	want := Header{Source: h.Source, Destination: h.Destination}
	if h.Datagram {
		want = Header{}
	}
	if again, m, err := ParseHeader(line); again != want || m != len(line) || err != nil {
		t.Errorf("%+v is %q, which is %+v of %d bytes, %v", h, line, again, m, err)
	}
}

// compareHeader tests that the library reads the same, if it reads anything. It
// refuses lines in which UNKNOWN is followed by a CR or LF, AF_UNSPEC that is
// not LOCAL, and LOCAL of an unknown family.
func compareHeader(t *testing.T, h Header, head []byte) {
	p, payload, err := proxyproto.ParseUDPDatagram(head)
	if err != nil {
		if h.Source.IsValid() {
			t.Errorf("%q: %+v, the library says %v", head, h, err)
		}
		return
	}
	source, destination, ok := p.IPs()
	if len(payload) != 0 || p.Version == 2 && p.Command.IsLocal() != h.Local || h.Source.IsValid() != (ok && p.Command.IsProxy()) {
		t.Errorf("%q: %+v, the library says %+v and leaves %q", head, h, p, payload)
	}
	if !h.Source.IsValid() {
		return
	}
	from, to, _ := p.Ports()
	if !same(h.Source, source, from) || !same(h.Destination, destination, to) || p.TransportProtocol.IsDatagram() != h.Datagram {
		t.Errorf("%q: %+v, the library says %v port %d, %v port %d, %v", head, h, source, from, destination, to, p.TransportProtocol)
	}
}

func same(a netip.AddrPort, ip net.IP, port int) bool {
	b, ok := netip.AddrFromSlice(ip)
	return ok && a == netip.AddrPortFrom(b.Unmap(), uint16(port))
}

// byLibrary is how the library writes a header.
func byLibrary(t interface{ Fatal(...any) }, h Header, version int) []byte {
	addr := func(a netip.AddrPort) net.Addr {
		if h.Datagram {
			return net.UDPAddrFromAddrPort(a)
		}
		return net.TCPAddrFromAddrPort(a)
	}
	p := proxyproto.HeaderProxyFromAddrs(byte(version), addr(h.Source), addr(h.Destination))
	if !h.Local {
		p.Command = proxyproto.PROXY // also for AF_UNSPEC, where the library has LOCAL
	}
	var tlvs []proxyproto.TLV
	for i, value := range []string{h.ALPN, h.Authority, h.UniqueID} {
		if value != "" {
			tlvs = append(tlvs, proxyproto.TLV{Type: []proxyproto.PP2Type{tlvALPN, tlvAuthority, tlvUniqueID}[i], Value: []byte(value)})
		}
	}
	err := p.SetTLVs(tlvs)
	b, formatErr := p.Format()
	if err != nil || formatErr != nil {
		t.Fatal(err, formatErr)
	}
	return b
}
