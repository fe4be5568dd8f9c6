package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// MaxHello is the most bytes a hello may have, with the headers of its records.
// Those of today's browsers have some 2 KiB.
const MaxHello = 16 << 10

// ErrNotTLS means that the client does not speak TLS. Neither does one that sends a
// hello of SSL 2, which no client of TLS 1.3 does.
var ErrNotTLS = errors.New("not TLS")

// The parts of a hello (RFC 8446, sections 4 and 5.1).
const (
	recordHandshake = 22
	recordMajor     = 3
	recordHead      = 5
	maxRecord       = 1 << 14

	handshakeHello = 1
	handshakeHead  = 4

	extServerName = 0  // RFC 6066, section 3
	extALPN       = 16 // RFC 7301, section 3.1
	nameOfHost    = 0  // RFC 6066, section 3: host_name
)

var (
	errHello   = errors.New("TLS hello: its lengths contradict each other")
	errRepeats = errors.New("TLS hello: an extension or a name comes twice")
)

// A Hello is the part of a TLS ClientHello that routes need. It may be the outer
// hello of an encrypted one, which has the provider's name.
type Hello struct {
	Name      string   // server_name as [HostName] has it; "" if there is none or it is no host name
	Protocols []string // ALPN, the client's favourite first: any bytes
}

// ParseHello reads the TLS ClientHello that b begins with; it may come in any
// number of records. It understands as much as is needed: whether the hello is
// a good one is for the server to judge.
//
// The error is [ErrShort] while b is only the beginning of a hello, and
// [ErrNotTLS] from the first byte on that can't begin one. A hello of more than
// [MaxHello] bytes is refused as soon as its length shows. While more is needed a
// call looks only at the headers of records and allocates nothing.
func ParseHello(b []byte) (Hello, error) {
	size, err := extent(b)
	if err != nil {
		return Hello{}, err
	}
	return parseBody(gather(b, size)[handshakeHead:])
}

// extent returns how many bytes the hello has, without the headers of its
// records, if b has all of it.
func extent(b []byte) (int, error) {
	if len(b) > 0 && b[0] != recordHandshake || len(b) > 1 && b[1] != recordMajor {
		return 0, ErrNotTLS
	}
	var head [handshakeHead]byte // of the hello, as far as it is known
	have, size := 0, handshakeHead
	for at := 0; ; {
		record, err := recordSize(b[at:])
		if err != nil {
			return 0, err
		}
		at += recordHead
		here := b[at:min(at+record, len(b))]
		if have < handshakeHead {
			copy(head[have:], here)
		}
		have += len(here)
		if have > 0 && head[0] != handshakeHello {
			return 0, fmt.Errorf("TLS: the first message is of type %d, want %d, a hello", head[0], handshakeHello)
		}
		if have >= handshakeHead {
			size = handshakeHead + int(binary.BigEndian.Uint32(head[:])&0xffffff)
		}
		if at+len(here)+size-have > MaxHello { // where it ends at the soonest
			return 0, fmt.Errorf("TLS hello of more than %d bytes", MaxHello)
		}
		if have >= size {
			return size, nil
		}
		if len(here) < record {
			return 0, ErrShort
		}
		at += record
	}
}

// recordSize returns what the header of a record says of its length.
func recordSize(b []byte) (int, error) {
	switch {
	case len(b) > 0 && b[0] != recordHandshake, len(b) > 1 && b[1] != recordMajor:
		return 0, fmt.Errorf("TLS hello: a record of another kind within, want type %d of version %d", recordHandshake, recordMajor)
	case len(b) < recordHead:
		return 0, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	if n == 0 || n > maxRecord {
		return 0, fmt.Errorf("TLS: a record of %d bytes, want 1 to %d", n, maxRecord)
	}
	return n, nil
}

// gather returns the hello's bytes without the headers of records: a part of b
// if one record has them all.
func gather(b []byte, size int) []byte {
	if n := int(binary.BigEndian.Uint16(b[3:])); n >= size {
		return b[recordHead : recordHead+size]
	}
	whole := make([]byte, 0, size)
	for len(whole) < size {
		n := int(binary.BigEndian.Uint16(b[3:]))
		b = b[recordHead:]
		n = min(n, size-len(whole))
		whole, b = append(whole, b[:n]...), b[n:]
	}
	return whole
}

// parseBody reads a ClientHello (RFC 8446, section 4.1.2).
func parseBody(b cryptobyte.String) (h Hello, err error) {
	var session, suites, compressions, extensions cryptobyte.String
	if !b.Skip(2+32) || // version, random
		!b.ReadUint8LengthPrefixed(&session) ||
		!b.ReadUint16LengthPrefixed(&suites) ||
		!b.ReadUint8LengthPrefixed(&compressions) {
		return h, errHello
	}
	if b.Empty() {
		return h, nil // as of TLS 1.2 and before
	}
	if !b.ReadUint16LengthPrefixed(&extensions) || !b.Empty() {
		return h, errHello
	}
	var named, negotiated bool
	for !extensions.Empty() && err == nil {
		var kind uint16
		var data cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&data) {
			return Hello{}, errHello
		}
		switch {
		case kind == extServerName && named, kind == extALPN && negotiated:
			err = errRepeats
		case kind == extServerName:
			named = true
			h.Name, err = parseName(data)
		case kind == extALPN:
			negotiated = true
			h.Protocols, err = parseProtocols(data)
		}
	}
	if err != nil {
		return Hello{}, err
	}
	return h, nil
}

// parseName reads server_name: a list in which at most one name is a host's.
func parseName(data cryptobyte.String) (name string, err error) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || list.Empty() || !data.Empty() {
		return "", errHello
	}
	for found := false; !list.Empty(); {
		var kind uint8
		var value cryptobyte.String
		if !list.ReadUint8(&kind) || !list.ReadUint16LengthPrefixed(&value) || value.Empty() {
			return "", errHello
		}
		if kind != nameOfHost {
			continue
		}
		if found {
			return "", errRepeats
		}
		found = true
		if len(value) <= maxName+1 {
			name, _ = HostName(string(value))
		}
	}
	return name, nil
}

func parseProtocols(data cryptobyte.String) (protocols []string, err error) {
	var list cryptobyte.String
	if !data.ReadUint16LengthPrefixed(&list) || list.Empty() || !data.Empty() {
		return nil, errHello
	}
	for !list.Empty() {
		var value cryptobyte.String
		if !list.ReadUint8LengthPrefixed(&value) || value.Empty() {
			return nil, errHello
		}
		protocols = append(protocols, string(value))
	}
	return protocols, nil
}

const (
	maxName  = 253 // bytes of a host's name, without a dot at its end (RFC 1035)
	maxLabel = 63
)

// HostName returns a host's name in the form in which it is looked up and
// compared: in lower case, without a dot at its end. It reports whether s is
// one: 1 to 253 letters, digits, hyphens, underscores and dots, labels of 1 to
// 63 bytes that don't begin with a hyphen, and not an IP address in any of its
// forms: a last label that is a number, as in 127.1 or 0x7f000001, is none.
// So a name is safe as the name of a file, too.
func HostName(s string) (string, bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxName {
		return "", false
	}
	last := ""
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || strings.ContainsFunc(label, notInLabel) {
			return "", false
		}
		last = label
	}
	if isNumber(last) {
		return "", false
	}
	return strings.ToLower(s), true
}

func notInLabel(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
}

// isNumber reports whether a label is a number, decimal or hexadecimal, as the
// parsers of addresses in C take it.
func isNumber(label string) bool {
	digits := "0123456789"
	if strings.HasPrefix(label, "0x") || strings.HasPrefix(label, "0X") {
		label, digits = label[2:], "0123456789abcdefABCDEF"
	}
	return strings.Trim(label, digits) == ""
}
