package wire

import (
	"encoding/binary"
	"iter"
)

// Classes of bytes (RFC 9110, section 5.6; RFC 3986).
const (
	tokenByte uint8 = 1 << iota
	visibleByte
	hostByte
	slashByte
	hexByte
	digitByte
	letterByte // letters and digits
)

var classes = func() (t [256]uint8) {
	mark := func(set string, class uint8) {
		for i := range len(set) {
			t[set[i]] |= class
		}
	}
	const alnum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	mark(alnum, letterByte)
	mark(alnum+"!#$%&'*+-.^_`|~", tokenByte)
	mark(alnum+"-._~%!$&'()*+,;=:[]", hostByte)
	mark("abcdefABCDEF0123456789", hexByte)
	mark("/", slashByte)
	mark("0123456789", digitByte)
	for c := '!'; c <= '~'; c++ {
		t[c] |= visibleByte
	}
	return t
}()

// span is how many bytes at the beginning of b are of a class.
func span(b []byte, class uint8) int {
	for i, c := range b {
		if classes[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// text is how many bytes at the beginning of b may be in a field's value: no
// controls but HTAB. Bytes from 128 may (obs-text). It looks at eight bytes at
// a time: the 105 bytes of a browser's User-Agent took 55 ns, and 140 one by one.
func text(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		// A high bit is set if a byte is below space, or is DEL.
		if ((x-' '*ones)&^x|(del-ones)&^del)&high != 0 {
			break
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' && c != '\t' || c == 0x7f {
			break
		}
	}
	return i
}

// lineEnd returns the offset behind the CRLF that has to be at offset at of b,
// or 0 if b ends before.
func lineEnd(b []byte, at int) (int, error) {
	rest := b[at:]
	switch {
	case len(rest) == 0:
		return 0, nil
	case rest[0] == '\n':
		return 0, errBareLF
	case rest[0] != '\r':
		return 0, errByte
	case len(rest) == 1:
		return 0, nil
	case rest[1] != '\n':
		return 0, errBareCR
	}
	return at + 2, nil
}

// scanField reads the line of a field at the beginning of b: where its colon
// is, and its length with CRLF, 0 if it is not whole.
func scanField(b []byte) (colon, n int, err error) {
	colon = span(b, tokenByte)
	switch {
	case colon == len(b):
		return 0, 0, nil
	case b[colon] == ':' && colon > 0:
		n, err = lineEnd(b, colon+1+text(b[colon+1:]))
		return colon, n, err
	case colon == 0 && (b[0] == ' ' || b[0] == '\t'):
		return 0, 0, errFold
	case b[colon] == '\n':
		return 0, 0, errBareLF
	}
	return 0, 0, errName
}

// A kind says what a field is to us, by its name.
type kind uint8

const (
	ordinary kind = iota
	contentLength
	transferEncoding
	host
	disguised // looks like the last two, or tells some server of a body that others don't see
	expect
	trailer

	connection // from here on fields may have to be changed
	upgrade
	http2Settings
	xForwardedFor
	xForwardedProto
	forwarded
	origin // other fields about the client
	forged // looks like one of the last four
)

// known has the names that are no ordinary fields, by their length, with what
// they are and what those are that are only alike.
var known = [...][]struct {
	name        string
	same, alike kind
}{
	4:  {{"host", host, host}},
	6:  {{"expect", expect, expect}},
	7:  {{"upgrade", upgrade, upgrade}, {"trailer", trailer, trailer}},
	9:  {{"forwarded", forwarded, forwarded}, {"x-real-ip", origin, forged}},
	10: {{"connection", connection, connection}},
	14: {{"content-length", contentLength, disguised}, {"http2-settings", http2Settings, http2Settings}},
	15: {{"x-forwarded-for", xForwardedFor, forged}},
	17: {{"transfer-encoding", transferEncoding, disguised}, {"x-forwarded-proto", xForwardedProto, forged}},
	18: {{"sec-websocket-key1", disguised, disguised}}, // a draft's: 8 bytes follow
}

// kindOf classifies a name. X-Forwarded with anything behind is about the
// client.
func kindOf(name []byte) kind {
	if len(name) < len(known) {
		for _, k := range known[len(name)] {
			if alike, same := compare(name, k.name); same {
				return k.same
			} else if alike {
				return k.alike
			}
		}
	}
	const prefix = "x-forwarded"
	if len(name) < len(prefix) {
		return ordinary
	}
	alike, same := compare(name[:len(prefix)], prefix)
	if !alike {
		return ordinary
	}
	for _, c := range name[len(prefix):] {
		same = same && (c == '-' || classes[c]&letterByte != 0)
	}
	if !same {
		return forged
	}
	return origin
}

// compare compares a token with a name in lower case of the same length, in
// any case of letters. In names that are only alike, something that is neither
// letter nor digit is in the place of a hyphen: variables of a CGI environment
// have an underscore for both.
func compare(token []byte, name string) (alike, same bool) {
	same = true
	for i, c := range token {
		if want := name[i]; want != '-' {
			if c|' ' != want {
				return false, false
			}
		} else if c != '-' {
			if classes[c]&letterByte != 0 {
				return false, false
			}
			same = false
		}
	}
	return true, same
}

// equal compares a value with a word in lower case, in any case of letters.
func equal(value []byte, word string) bool {
	if len(value) != len(word) {
		return false
	}
	_, same := compare(value, word)
	return same
}

// trim removes the optional white space around a value.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// members yields the members of a list that are not empty (RFC 9110, section
// 5.6.1). They don't have quoted strings, or will be refused for them.
func members(list []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(list) > 0 {
			i := 0
			for i < len(list) && list[i] != ',' {
				i++
			}
			if m := trim(list[:i]); len(m) > 0 && !yield(m) {
				return
			}
			list = list[min(i+1, len(list)):]
		}
	}
}

// eachMember shows the members of a list of names to permit, and refuses what
// that does not.
func eachMember(list []byte, permit func(m []byte) bool) error {
	for m := range members(list) {
		if span(m, tokenByte) < len(m) || !permit(m) {
			return errNominated
		}
	}
	return nil
}
