package wire

import "bytes"

// A head is what is known of a request's head. It is read line by line and
// goes on where it stopped when there are more bytes, so that a client which
// sends single bytes costs no more than one line's length for each.
type head struct {
	size    int   // bytes of the lines that were read
	fields  int   // how many fields these are
	length  int64 // Content-Length, or -1
	host    bool
	expect  bool
	chunked bool
	old     bool // HTTP/1.0
	method  method
	whole   bool // its empty line is there
	close   bool // Connection has the option close
	keep    bool // and keep-alive
	option  bool // Connection has the option upgrade
	upgrade bool // Upgrade has a protocol that may be switched to
	strip   bool // there is Upgrade or HTTP2-Settings, so Connection is made anew
	edits   []edit
	barred  bool // it may not end HTTP
}

// A method is one that changes how the answer is read.
type method uint8

const (
	otherMethod method = iota
	headMethod
	oddMethod // one that a lax server takes for HEAD
)

// An edit is a field that may have to be changed: its bytes are start to end,
// with CRLF. Offsets are below LargestHead.
type edit struct {
	kind              kind
	start, colon, end uint16
}

// value is what an edit's field says, in the head that it is from.
func (e edit) value(b []byte) []byte { return trim(b[e.colon+1 : e.end-2]) }

func (h *head) reset() { *h = head{length: -1, edits: h.edits[:0]} }

// persists reports whether other requests may follow on the connection.
func (h *head) persists() bool { return !h.close && (!h.old || h.keep) }

// last reports whether HTTP may end after the request.
func (h *head) last() bool { return h.option && h.upgrade }

// parse reads on in b, which begins with the head. It reports whether the
// head is whole.
func (h *head) parse(b []byte) (whole bool, err error) {
	if h.size == 0 {
		if h.size, err = h.requestLine(b); h.size == 0 {
			return false, err
		}
	}
	for {
		line := b[h.size:]
		if len(line) > 0 && line[0] == '\r' {
			n, err := lineEnd(line, 0)
			if n == 0 {
				return false, err
			}
			h.size += n
			return true, h.check()
		}
		colon, n, err := scanField(line)
		if n == 0 {
			return false, err
		}
		if h.fields++; h.fields > maxFields {
			return false, errFields
		}
		if k := kindOf(line[:colon]); k != ordinary {
			if err := h.field(k, line[colon+1:n-2]); err != nil {
				return false, err
			}
			if k >= connection || k <= transferEncoding && bytes.IndexByte(line[colon:n], '\t') >= 0 {
				h.edits = append(h.edits, edit{k, uint16(h.size), uint16(h.size + colon), uint16(h.size + n)})
			}
		}
		h.size += n
	}
}

// requestLine reads METHOD SP TARGET SP HTTP/1.x CRLF and returns its length, 0
// if it is not whole. A target has only visible ASCII (RFC 3986); what it means
// is left to the server. CONNECT asks for a tunnel, in which requests would pass
// unseen: it is refused, in any case of letters, since some servers are lax.
func (h *head) requestLine(b []byte) (int, error) {
	method := span(b, tokenByte)
	if method == len(b) {
		return 0, nil
	}
	if method == 0 || b[method] != ' ' {
		return 0, errRequestLine
	}
	if equal(b[:method], "connect") {
		return 0, errConnect
	}
	target := method + 1 + span(b[method+1:], visibleByte)
	if target == len(b) {
		return 0, nil
	}
	if target == method+1 || b[target] != ' ' {
		return 0, errRequestLine
	}
	const name, one = "HTTP/", "1."
	version := b[target+1:]
	if n := min(len(version), len(name)); string(version[:n]) != name[:n] {
		return 0, errRequestLine
	}
	if len(version) <= len(name) {
		return 0, nil
	}
	version = version[len(name):]
	if classes[version[0]]&digitByte == 0 {
		return 0, errRequestLine
	}
	if n := min(len(version), len(one)); string(version[:n]) != one[:n] {
		return 0, errVersion
	}
	if len(version) <= len(one) {
		return 0, nil
	}
	minor := version[len(one)]
	if minor != '0' && minor != '1' {
		return 0, errVersion
	}
	h.old = minor == '0'
	if equal(b[:method], "head") {
		h.method = oddMethod
		if string(b[:method]) == "HEAD" {
			h.method = headMethod
		}
	}
	return lineEnd(b, target+1+len(name)+len(one)+1)
}

// field takes in a field that concerns us.
func (h *head) field(k kind, value []byte) error {
	value = trim(value)
	switch k {
	case host:
		if h.host || span(value, hostByte) < len(value) {
			return errHost
		}
		h.host = true
	case contentLength:
		n, ok := parseLength(value)
		if !ok || h.length >= 0 {
			return errLength
		}
		h.length = n
	case transferEncoding:
		if h.chunked {
			return errFraming
		}
		if !equal(value, "chunked") {
			return errCoding
		}
		h.chunked = true
	case disguised:
		return errDisguise
	case expect:
		if h.expect || !equal(value, "100-continue") {
			return errExpect
		}
		h.expect = true
	case trailer:
		return eachMember(value, func(m []byte) bool { return kindOf(m) == ordinary })
	case connection:
		return eachMember(value, h.connectionOption)
	case upgrade:
		h.strip = true
		return h.protocols(value)
	case http2Settings:
		h.strip = true
	}
	return nil
}

// connectionOption takes in a member of Connection. It reports false if that
// names a field which has to arrive.
func (h *head) connectionOption(m []byte) bool {
	h.close = h.close || equal(m, "close")
	h.keep = h.keep || equal(m, "keep-alive")
	switch kindOf(m) {
	case upgrade:
		h.option = true
	case ordinary, connection, http2Settings, trailer:
	default:
		return false
	}
	return true
}

// protocols takes in the value of Upgrade.
func (h *head) protocols(value []byte) error {
	for m := range members(value) {
		if span(m, tokenByte|slashByte) < len(m) {
			return errUpgrade
		}
		h.upgrade = h.upgrade || h.mayUpgrade(m)
	}
	return nil
}

// check judges what only the whole head shows.
func (h *head) check() error {
	switch {
	case !h.host && !h.old:
		return errHost
	case h.chunked && (h.length >= 0 || h.old):
		return errFraming
	}
	return nil
}

// parseLength reads a Content-Length. Its at most 19 digits don't overflow
// what they are added up in.
func parseLength(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	n := uint64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return int64(n), n < 1<<63
}
