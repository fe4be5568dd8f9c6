package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strconv"
	"strings"
)

// The limits of PROXY protocol headers, in bytes.
const (
	// MaxHeader is the longest header accepted. The format allows 65551; TLVs with
	// a client's certificate need 1 to 2 KiB.
	MaxHeader = 4096

	maxLine     = 107 // version 1, with its CRLF (section 2.1)
	maxUniqueID = 128 // section 2.2.5
)

// The signatures of headers.
const (
	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixed      = len(signature2) + 4 // and version with command, family with transport, length
)

// Version with command, family with transport, and TLVs of version 2
// (section 2.2).
const (
	commandLocal = 0x20
	commandProxy = 0x21

	familyUnspec = 0x00
	familyTCP4   = 0x11
	familyUDP4   = 0x12
	familyTCP6   = 0x21
	familyUDP6   = 0x22
	familyUnix   = 0x31
	familyUnixgm = 0x32

	tlvALPN      = 0x01
	tlvAuthority = 0x02
	tlvCRC32C    = 0x03
	tlvUniqueID  = 0x05
	tlvTLS       = 0x20 // PP2_TYPE_SSL (section 2.2.6)
	tlvVersion   = 0x21 // within it
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// A Header is the content of a PROXY protocol header. Headers can be compared with ==.
type Header struct {
	// Local: the sender speaks for itself, for example in a health check. The
	// addresses of the connection itself apply, and everything else is zero.
	Local bool
	// Source and Destination are the zero value where the header gives none
	// (UNKNOWN, AF_UNSPEC, AF_UNIX): then the addresses of the connection itself
	// apply as well. IPv4 addresses are unmapped.
	Source, Destination netip.AddrPort
	// Datagram: UDP is relayed.
	Datagram bool
	// The negotiated ALPN protocol, the server name that the client asked for, and
	// an identifier of the connection: any bytes that the sender chose, unchecked.
	ALPN, Authority, UniqueID string
	// TLS and CRC32C are only written: the client's TLS, if its Version is set, and
	// whether the header has a checksum.
	TLS    TLS
	CRC32C bool
}

// ParseHeader parses the PROXY protocol header of version 1 or 2 at the start of b
// and returns its length. The bytes behind it are the client's, even if they look
// like another header.
//
// The error is [ErrShort] while b is only the start of a header. A line of version
// 1 is checked beyond its first six bytes once it is complete, after 107 bytes at
// the latest. Source: HAProxy's doc/proxy-protocol.txt; what
// it demands is listed in docs/proxy-protocol.md.
func ParseHeader(b []byte) (Header, int, error) {
	switch {
	case len(b) == 0:
		return Header{}, 0, ErrShort
	case begins(b, signature1):
		return parseLine(b)
	case begins(b, signature2):
		return parseBlock(b)
	}
	return Header{}, 0, fmt.Errorf("%.16q is no PROXY protocol header", b)
}

// begins reports whether b starts with s, or is the start of s.
func begins(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// parseLine reads a header of version 1 (section 2.1).
func parseLine(b []byte) (Header, int, error) {
	line := b[:min(len(b), maxLine)]
	last := len(line) - 1
	end := bytes.IndexAny(line, "\r\n")
	switch {
	case end >= 0 && (line[end] == '\n' || end < last && line[end+1] != '\n'):
		return Header{}, 0, errors.New("PROXY header: a lone CR or LF, want CRLF at its end")
	case end >= 0 && end < last: // the end is there
	case len(line) == maxLine:
		return Header{}, 0, fmt.Errorf("PROXY header of more than %d bytes", maxLine)
	default:
		return Header{}, 0, ErrShort
	}
	h, err := parseWords(string(line[len(signature1):end]))
	if err != nil {
		return Header{}, 0, fmt.Errorf("PROXY header %q: %w", line[:end], err)
	}
	return h, end + 2, nil
}

// parseWords parses the words of a line: the protocol, source, destination and
// their ports, each after exactly one space.
func parseWords(words string) (h Header, err error) {
	protocol, rest, more := strings.Cut(words, " ")
	if protocol == "UNKNOWN" {
		return h, nil // whatever follows
	}
	if protocol != "TCP4" && protocol != "TCP6" {
		return h, errors.New("the protocol is not TCP4, TCP6 or UNKNOWN")
	}
	var word [4]string
	for i := range word {
		if !more {
			return h, errors.New("want two addresses and two ports")
		}
		word[i], rest, more = strings.Cut(rest, " ")
	}
	if more {
		return h, errors.New("more than two addresses and two ports")
	}
	if h.Source, err = parseAddr(word[0], word[2], protocol == "TCP6"); err == nil {
		h.Destination, err = parseAddr(word[1], word[3], protocol == "TCP6")
	}
	if err != nil {
		return Header{}, err
	}
	return h, nil
}

func parseAddr(addr, port string, six bool) (netip.AddrPort, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || a.Is6() != six || a.Zone() != "" {
		return netip.AddrPort{}, fmt.Errorf("%q is no address of the protocol", addr)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || len(port) > 1 && port[0] == '0' {
		return netip.AddrPort{}, fmt.Errorf("%q is no port, want 0 to 65535 without leading zeros", port)
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// parseBlock parses a header of version 2 (section 2.2). It looks behind the length
// only when the header is complete.
func parseBlock(b []byte) (Header, int, error) {
	const command, family, length = len(signature2), len(signature2) + 1, len(signature2) + 2
	if len(b) > command && b[command] != commandLocal && b[command] != commandProxy {
		return Header{}, 0, fmt.Errorf("PROXY header: version and command %#02x, want %#02x or %#02x", b[command], commandLocal, commandProxy)
	}
	addrs := 0
	if len(b) > family && b[command] == commandProxy {
		if addrs = addrBytes(b[family]); addrs < 0 {
			return Header{}, 0, fmt.Errorf("PROXY header: unknown family and transport %#02x", b[family])
		}
	}
	if len(b) < fixed {
		return Header{}, 0, ErrShort
	}
	n := fixed + int(binary.BigEndian.Uint16(b[length:]))
	switch {
	case n > MaxHeader:
		return Header{}, 0, fmt.Errorf("PROXY header of %d bytes, want at most %d", n, MaxHeader)
	case n < fixed+addrs:
		return Header{}, 0, fmt.Errorf("PROXY header of %d bytes, want %d for its addresses", n, fixed+addrs)
	case len(b) < n:
		return Header{}, 0, ErrShort
	case b[command] == commandLocal:
		return Header{Local: true}, n, nil // the block is ignored, its family too
	}
	h := parseAddrs(b[family], b[fixed:fixed+addrs])
	if err := h.parseTLVs(b[:n], fixed+addrs); err != nil {
		return Header{}, 0, fmt.Errorf("PROXY header: %w", err)
	}
	return h, n, nil
}

// addrBytes returns the length of the addresses of a family, -1 if it is unknown.
// AF_UNSPEC has none: TLVs follow at once.
func addrBytes(family byte) int {
	switch family {
	case familyUnspec:
		return 0
	case familyTCP4, familyUDP4:
		return 2*4 + 2*2
	case familyTCP6, familyUDP6:
		return 2*16 + 2*2
	case familyUnix, familyUnixgm:
		return 2 * 108
	}
	return -1
}

// parseAddrs parses the addresses of a family, source first.
func parseAddrs(family byte, b []byte) (h Header) {
	size := 16
	switch family {
	case familyUnspec, familyUnix, familyUnixgm:
		return h
	case familyTCP4, familyUDP4:
		size = 4
	}
	at := func(i int) netip.AddrPort {
		a, _ := netip.AddrFromSlice(b[i*size : (i+1)*size])
		return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(b[2*size+2*i:]))
	}
	h.Source, h.Destination = at(0), at(1)
	h.Datagram = family == familyUDP4 || family == familyUDP6
	return h
}

// parseTLVs reads the TLVs of head, a whole header, from an offset on. Those
// of unknown types are skipped; of a type that occurs twice the last one counts.
func (h *Header) parseTLVs(head []byte, at int) error {
	for at < len(head) {
		if len(head)-at < 3 {
			return fmt.Errorf("a TLV of %d bytes at its end, want at least 3", len(head)-at)
		}
		kind, size := head[at], int(binary.BigEndian.Uint16(head[at+1:]))
		at += 3
		if size > len(head)-at {
			return fmt.Errorf("TLV %#02x of %d bytes ends behind the header, %d are left", kind, size, len(head)-at)
		}
		value := head[at : at+size]
		switch kind {
		case tlvALPN:
			h.ALPN = string(value)
		case tlvAuthority:
			h.Authority = string(value)
		case tlvUniqueID:
			if size > maxUniqueID {
				return fmt.Errorf("unique ID of %d bytes, want at most %d", size, maxUniqueID)
			}
			h.UniqueID = string(value)
		case tlvCRC32C:
			if size != 4 || checksum(head, at) != binary.BigEndian.Uint32(value) {
				return errors.New("the CRC32c is wrong")
			}
		}
		at += size
	}
	return nil
}

// checksum is the CRC32c of a header whose field for it, at an offset, counts
// as zero (section 2.2.3).
func checksum(head []byte, at int) uint32 {
	var zero [4]byte
	sum := crc32.Update(0, castagnoli, head[:at])
	sum = crc32.Update(sum, castagnoli, zero[:])
	return crc32.Update(sum, castagnoli, head[at+len(zero):])
}

// Append appends the header in version 1 or 2 to b. Without both addresses it
// is UNKNOWN or AF_UNSPEC, as are datagrams in version 1. If one address is IPv4
// and the other one IPv6, the former is mapped. In version 2 a Local header is
// empty; version 1 has no word for it and sends the addresses, which should
// then be those of the connection itself. What version 1 can't say is left out,
// and so is a unique ID of more than 128 bytes or a string with which the
// header would be longer than [MaxHeader].
func (h Header) Append(b []byte, version int) []byte {
	from, to := h.Source.Addr().Unmap().WithZone(""), h.Destination.Addr().Unmap().WithZone("")
	known := from.IsValid() && to.IsValid()
	if known && from.Is4() != to.Is4() {
		from, to = netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16())
	}
	switch {
	case version != 1:
		return h.appendBlock(b, from, to, known)
	case !known || h.Datagram:
		return append(b, signature1+"UNKNOWN\r\n"...)
	case from.Is4():
		b = append(b, signature1+"TCP4 "...)
	default:
		b = append(b, signature1+"TCP6 "...)
	}
	b = append(from.AppendTo(b), ' ')
	b = append(to.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(h.Source.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(h.Destination.Port()), 10)
	return append(b, "\r\n"...)
}

// appendBlock appends a header of version 2. Addresses, where they are known,
// are of one family.
func (h Header) appendBlock(b []byte, from, to netip.Addr, known bool) []byte {
	start := len(b)
	b = append(b, signature2...)
	switch {
	case h.Local:
		return append(b, commandLocal, familyUnspec, 0, 0)
	case !known:
		b = append(b, commandProxy, familyUnspec, 0, 0)
	default:
		b = append(b, commandProxy, familyOf(from, h.Datagram), 0, 0)
		b, _ = from.AppendBinary(b) // has no errors
		b, _ = to.AppendBinary(b)
		b = binary.BigEndian.AppendUint16(b, h.Source.Port())
		b = binary.BigEndian.AppendUint16(b, h.Destination.Port())
	}
	end := start + MaxHeader
	sum := -1
	if h.CRC32C {
		sum = len(b) + tlvHead
		b = appendTLV(b, tlvCRC32C, "\x00\x00\x00\x00", end)
	}
	b = appendTLV(b, tlvTLS, h.TLS.value(), end)
	b = appendTLV(b, tlvALPN, h.ALPN, end)
	b = appendTLV(b, tlvAuthority, h.Authority, end)
	if len(h.UniqueID) <= maxUniqueID {
		b = appendTLV(b, tlvUniqueID, h.UniqueID, end)
	}
	binary.BigEndian.PutUint16(b[start+fixed-2:], uint16(len(b)-start-fixed))
	if sum >= 0 {
		binary.BigEndian.PutUint32(b[sum:], checksum(b[start:], sum-start))
	}
	return b
}

func familyOf(a netip.Addr, datagram bool) byte {
	switch {
	case a.Is4() && datagram:
		return familyUDP4
	case a.Is4():
		return familyTCP4
	case datagram:
		return familyUDP6
	}
	return familyTCP6
}

// appendTLV appends a value that is not empty, unless b would be longer than
// end.
func appendTLV(b []byte, kind byte, value string, end int) []byte {
	if value == "" || len(b)+tlvHead+len(value) > end {
		return b
	}
	b = append(b, kind)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
