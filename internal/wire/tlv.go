package wire

import (
	"fmt"
	"strings"
)

// LeastTLVs is how long a header with TLVs may be where nothing else is known of
// its reader: nginx before 1.23.4 closes a connection that begins with a longer one.
const LeastTLVs = 107

const (
	tlvHead = 3  // type and length
	maxALPN = 32 // bytes; the longest registered protocol has 15
)

// TLVs say which TLVs a header of version 2 is sent with, beyond its addresses.
// The zero value is none. Those that are alike are equal.
type TLVs struct {
	ALPN, Authority, UniqueID, TLS, CRC32C bool
	// Most is how many bytes the header may have with them, 0 is [LeastTLVs].
	Most int
}

// TLS is what a header says of the client's TLS (section 2.2.6).
type TLS struct {
	Version     string // such as TLSv1.3; "": the client does not speak TLS
	Certificate bool   // the client has shown a certificate, which is verified
	Resumed     bool   // when the session began, not on this connection
}

// Of returns the header with no TLVs but those that t names, as far as there is
// room. Values that clients choose come last, so that none of theirs can take the
// room of one of ours, and are left out unless they are harmless wherever a server
// may put them: an authority must be the name of a host, a protocol must be
// written like those that are registered. An identifier that is not printable is
// sent in hexadecimal.
func (t TLVs) Of(h Header) Header {
	from := Header{Local: h.Local, Source: h.Source, Destination: h.Destination, Datagram: h.Datagram}
	if h.Local {
		return from
	}
	room := t.Most
	if room == 0 {
		room = LeastTLVs
	}
	room -= from.size()
	fits := func(asked bool, size int) bool {
		asked = asked && size > 0 && room >= tlvHead+size
		if asked {
			room -= tlvHead + size
		}
		return asked
	}
	from.CRC32C = fits(t.CRC32C, 4)
	if id := printableID(h.UniqueID); fits(t.UniqueID, len(id)) {
		from.UniqueID = id
	}
	if fits(t.TLS, len(h.TLS.value())) {
		from.TLS = h.TLS
	}
	if isProtocol(h.ALPN) && fits(t.ALPN, len(h.ALPN)) {
		from.ALPN = h.ALPN
	}
	if name, ok := HostName(h.Authority); ok && fits(t.Authority, len(name)) {
		from.Authority = name
	}
	return from
}

// size is how many bytes the header has in version 2 without TLVs.
func (h Header) size() int {
	from, to := h.Source.Addr().Unmap(), h.Destination.Addr().Unmap()
	switch {
	case !from.IsValid() || !to.IsValid():
		return fixed
	case from.Is4() && to.Is4():
		return fixed + addrBytes(familyTCP4)
	}
	return fixed + addrBytes(familyTCP6)
}

// printableID returns an identifier that has nothing but printable ASCII, or ""
// where it would be too long.
func printableID(id string) string {
	if strings.ContainsFunc(id, func(r rune) bool { return r < ' ' || r > '~' }) {
		id = fmt.Sprintf("%x", id)
	}
	if len(id) > maxUniqueID {
		return ""
	}
	return id
}

// isProtocol reports whether a protocol of ALPN is written like those that IANA
// has registered: http/1.1, h2, xmpp-client.
func isProtocol(s string) bool {
	return s != "" && len(s) <= maxALPN && !strings.ContainsFunc(s, func(r rune) bool {
		return notInLabel(r) && !strings.ContainsRune("./+:", r)
	})
}

// value is what the TLV of TLS says, "" for none.
func (t TLS) value() string {
	const (
		isTLS = 1 << iota
		certConnection
		certSession
	)
	if t.Version == "" {
		return ""
	}
	flags, verify := byte(isTLS), byte(1) // verify is 0 only if there was a certificate
	if t.Certificate {
		flags, verify = flags|certSession, 0
		if !t.Resumed {
			flags |= certConnection
		}
	}
	return string([]byte{flags, 0, 0, 0, verify, tlvVersion, 0, byte(len(t.Version))}) + t.Version
}
