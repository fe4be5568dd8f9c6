package wire

// Answers follows the answers of the server to the requests of a [Requests]
// (RFC 9112, section 6.3), so that it is known which answer is to a request
// that may end HTTP, and when the client has all that it is owed. They pass as
// they are, and nothing is held back: an answer's head may be of any size.
//
// An answer that cannot be followed for certain is passed on blindly, to the end of
// the connection: one to no request, one with both Content-Length and
// Transfer-Encoding or two of either, a line that does not end in CRLF, a folded
// line. No request may end HTTP after such an answer.
//
// It belongs to the owner of its Requests, and is used by one goroutine at a
// time together with that.
type Answers struct {
	r       *Requests
	owed    int    // requests whose answers are not complete
	heads   uint64 // of these, from the lowest bit on, the HEAD ones
	state   answerState
	blind   bool  // nothing is known any more
	left    int64 // bytes of the body or of the chunk that are to come
	line    line
	status  int
	old     bool  // HTTP/1.0
	length  int64 // Content-Length, or -1
	coded   bool  // there is Transfer-Encoding
	chunked bool  // and chunked is the last of it
	closes  bool  // the server says that it sends no other answer
	closed  bool  // and that answer is complete
}

// maxOwed bounds the requests of a client that wait for their answer. Further
// ones wait for the answers. Servers answer one at a time, so that it costs no
// time.
const maxOwed = 64

// An answerState says what comes next from the server.
type answerState uint8

const (
	inStatus answerState = iota // the first line of an answer, perhaps nothing
	inFields
	inContent
	inContentSize // the line with a chunk's size
	inContentChunk
	inContentChunkEnd
	inContentTrailer
	inRest // a body that ends with the connection
)

// Follow notes the next bytes from the server. How they are cut into pieces
// makes no difference.
func (a *Answers) Follow(b []byte) {
	for len(b) > 0 && a.Through() >= 0 {
		n, ok := a.step(b)
		if !ok {
			a.lose()
			return
		}
		b = b[n:]
	}
}

// Through is how many of the next bytes may pass without Follow, or -1 where all
// may that are to come.
func (a *Answers) Through() int64 {
	switch {
	case a.blind || a.state == inRest:
		return -1
	case a.state == inContent || a.state == inContentChunk:
		return a.left
	}
	return 0
}

// Passed notes that n bytes, not more than Through, have passed without Follow.
func (a *Answers) Passed(n int64) {
	most := a.Through()
	if most < 0 {
		return
	}
	if n < 0 || n > most {
		panic("wire: more bytes passed than belong to the answer's body")
	}
	if a.left -= n; a.left > 0 {
		return
	}
	if a.state == inContent {
		a.finish()
	} else if a.state == inContentChunk {
		a.state = inContentChunkEnd
	}
}

// End notes that the server sends no more. What waits for its answers is
// dropped.
func (a *Answers) End() {
	if a.r.Waiting() {
		a.r.state = inLast
	}
	a.blind = true
}

// lose stops following.
func (a *Answers) lose() {
	a.blind = true
	a.r.settle(false)
}

// between reports whether no byte of an answer is there that is not over.
func (a *Answers) between() bool { return a.state == inStatus && a.line.empty() }

// ask notes that a request is handed on.
func (a *Answers) ask(isHead bool) {
	if isHead && a.owed < maxOwed {
		a.heads |= 1 << a.owed
	}
	a.owed++
}

// unask takes back the last ask.
func (a *Answers) unask() {
	a.owed--
	a.heads &^= 1 << a.owed
}

// step handles the beginning of b, as far as the state reaches. It reports false
// where that is not understood.
func (a *Answers) step(b []byte) (n int, ok bool) {
	if a.state == inContent || a.state == inContentChunk {
		n = int(min(a.left, int64(len(b))))
		a.Passed(int64(n))
		return n, true
	}
	if a.owed == 0 {
		return 0, false // nobody has asked
	}
	n, whole, ok := a.line.take(b)
	if !ok && a.state == inStatus && b[n] == '\n' {
		n, whole, ok = n+1, true, true // some small servers switch so
	}
	if !whole || !ok {
		return n, ok
	}
	ok = a.takeLine(a.line.begin(), a.line.long)
	a.line.n, a.line.long, a.line.cr = 0, false, false
	return n, ok
}

// takeLine handles a line of which there is the begin, all of it unless it is
// long.
func (a *Answers) takeLine(b []byte, long bool) bool {
	switch a.state {
	case inStatus:
		return a.statusLine(b)
	case inFields:
		if len(b) == 0 {
			return a.endHead()
		}
		return a.field(b, long)
	case inContentSize:
		return a.chunkSize(b)
	case inContentChunkEnd:
		a.state = inContentSize
		return len(b) == 0
	}
	if len(b) == 0 { // of the trailers
		a.finish()
	}
	return true
}

// statusLine reads HTTP/1.x SP STATUS, perhaps with SP and a reason (RFC 9112,
// section 4).
func (a *Answers) statusLine(b []byte) bool {
	const begin = "HTTP/1.x 200"
	if len(b) < len(begin) || len(b) > len(begin) && b[len(begin)] != ' ' || string(b[:7]) != begin[:7] || b[8] != ' ' {
		return false
	}
	a.status = 0
	for _, c := range b[9:12] {
		if classes[c]&digitByte == 0 {
			return false
		}
		a.status = 10*a.status + int(c-'0')
	}
	a.old = b[7] == '0'
	if !a.old && b[7] != '1' || a.status < 100 {
		return false
	}
	a.length, a.coded, a.chunked, a.closes, a.state = -1, false, false, a.old, inFields
	switch {
	case a.status >= 200:
		a.r.settle(false)
	case a.status == 101 && a.r.switches == asked:
		a.r.settle(true)
		a.blind = true // what comes now is no HTTP
	case a.status == 101:
		return false
	}
	return true
}

// field takes in a field. Those that frame have to be whole.
func (a *Answers) field(b []byte, long bool) bool {
	colon := span(b, tokenByte)
	if colon == len(b) && long {
		return true // an ordinary one
	}
	if colon == 0 || colon == len(b) || b[colon] != ':' {
		return false
	}
	value := trim(b[colon+1:])
	switch kindOf(b[:colon]) {
	case contentLength:
		n, ok := parseLength(value)
		if !ok || long || a.length >= 0 {
			return false
		}
		a.length = n
	case connection:
		for m := range members(value) {
			a.closes = !equal(m, "keep-alive") && (a.closes || equal(m, "close"))
		}
	case transferEncoding:
		if long || a.coded {
			return false
		}
		a.coded = true
		for m := range members(value) {
			a.chunked = equal(m, "chunked")
		}
	}
	return true
}

// endHead decides how long the body is.
func (a *Answers) endHead() bool {
	switch {
	case a.status < 200:
		a.state = inStatus // the answer is still to come
	case a.heads&1 != 0 || a.status == 204 || a.status == 304:
		a.finish()
	case a.coded && (a.old || a.length >= 0):
		return false
	case a.chunked:
		a.state = inContentSize
	case a.coded || a.length < 0:
		a.state = inRest
	case a.length == 0:
		a.finish()
	default:
		a.state, a.left = inContent, a.length
	}
	return true
}

// chunkSize takes in the line with a chunk's size. Some servers fill it up with
// spaces.
func (a *Answers) chunkSize(b []byte) bool {
	size, digits, ok := parseSize(b)
	if !ok || digits == 0 {
		return false
	}
	if rest := trim(b[digits:]); len(rest) > 0 && rest[0] != ';' {
		return false
	}
	a.state, a.left = inContentChunk, size
	if size == 0 {
		a.state = inContentTrailer
	}
	return true
}

// finish ends an answer.
func (a *Answers) finish() {
	a.owed--
	a.heads >>= 1
	a.state = inStatus
	a.closed = a.closed || a.closes
}

// A line collects the begin of a line: that of a field that matters is short.
type line struct {
	text [64]byte
	n    int
	long bool // there was more than there is room for
	cr   bool // CR has come
}

func (l *line) begin() []byte { return l.text[:l.n] }
func (l *line) empty() bool   { return l.n == 0 && !l.cr }

// take takes in what b has of the line, and reports whether it is whole now. It
// is not ok where a byte, that at n, may not be there.
func (l *line) take(b []byte) (n int, whole, ok bool) {
	if !l.cr {
		n = text(b)
		m := copy(l.text[l.n:], b[:n])
		l.n += m
		l.long = l.long || m < n
		if n == len(b) {
			return n, false, true
		}
		if b[n] != '\r' {
			return n, false, false
		}
		l.cr = true
		n++
	}
	if n == len(b) {
		return n, false, true
	}
	if b[n] != '\n' {
		return n, false, false
	}
	return n + 1, true, true
}
