package wire

import "net/netip"

// Forwarding says what requests tell their server about their client.
type Forwarding struct {
	Client    netip.Addr // the client; where it has none, as on a Unix socket, it is called unknown
	Proto     string     // how the client came: "http" or "https"
	Forwarded bool       // add the field Forwarded of RFC 7239 as well
	Trusted   bool       // the client is a proxy: what it says is kept, and appended to
	// MaxHead is how many bytes a head may have with its empty line, and all
	// trailers of a request; 0 is DefaultHead, and LargestHead the most.
	MaxHead int
}

func (f *Forwarding) maxHead() int {
	if f.MaxHead == 0 {
		return DefaultHead
	}
	return f.MaxHead
}

// Requests follows the HTTP/1.x requests that a client sends on one
// connection (RFC 9110, RFC 9112), and tells the server of each of them who
// the client is, in X-Forwarded-For and X-Forwarded-Proto and, where asked, in
// Forwarded (RFC 7239). They are the last fields of the head.
//
// It is strict, since a request that the server takes for two would be one that
// nobody has marked. What two readers could understand differently is refused,
// even where RFC 9112 would let a server repair it: a line that does not end in
// CRLF, a folded line, a control character, a name that is not a token, a
// second Content-Length or Host, a Transfer-Encoding that is not chunked or is
// not alone. A field whose name a CGI environment would confuse with a framing
// one, such as Content_Length, is refused too.
//
// Of a client that is not trusted, X-Forwarded-* of any kind, Forwarded and
// X-Real-IP are dropped. Of a trusted one they are kept; X-Forwarded-For, and
// Forwarded where asked, get the client's address at their end, and
// X-Forwarded-Proto stays what it is. Names that are alike only in a CGI
// environment, such as X_Forwarded_For, are dropped in any case, and so are
// all of them in trailers. A Connection field that names any of these or a
// framing field, so that a proxy behind this one would remove it, is refused.
//
// Bodies are relayed as they are. Extensions of chunks are removed, as a
// recipient may (RFC 9112, section 7.1.1): no client needs them, and readers
// have disagreed where they end.
//
// A request that may end HTTP on the connection is one with Upgrade and the
// connection option of that name. It waits until the answers to all before it are
// complete, and what comes behind it waits for its answer: only where the server
// switches protocols does that pass, unseen. Where answers can't be followed, see
// [Answers], and in HTTP/1.0, which knows none, requests lose their Upgrade.
//
// Upgrades to what carries requests of its own (h2c, HTTP and TLS in any
// version) are taken out of Upgrade, and HTTP2-Settings with them; the request
// is then one like others. So is one with Upgrade but without the option.
// CONNECT is refused: it asks for a tunnel.
//
// After a request that is the client's last one (Connection: close, or HTTP/1.0
// without keep-alive; RFC 9112, section 9.6) nothing is handed on.
//
// A Requests belongs to one goroutine at a time. Nothing blocks.
type Requests struct {
	f        Forwarding
	state    state
	left     int64 // bytes of the body or of the chunk that are to come
	empty    int   // empty lines before the request
	trailed  int   // bytes of trailers so far
	trailers int   // trailers so far
	head     head
	kept     bool // the last src had bytes of an unfinished head or line
	answers  Answers
	switches switching
	hurried  bool // no request is to wait
	last     bool // no other request follows
	cut      bool // what was refused had been handed on in part
	err      error
}

// A switching is how it stands with the request that may end HTTP.
type switching uint8

const (
	unasked switching = iota // there is none, or it has been answered otherwise
	asked                    // it has been handed on
	agreed                   // the server switches protocols
)

// A state says what comes next from the client.
type state uint8

const (
	inHead state = iota
	inBody
	inSize     // the line with a chunk's size
	inChunk    // a chunk's data
	inChunkEnd // the CRLF after it
	inTrailer
	inSwitch // nothing, until the server's answer is known
	inTunnel // no HTTP any more
	inLast   // what is of no interest
)

// NewRequests begins to follow a connection on which nothing has been read.
func NewRequests(f Forwarding) *Requests {
	f.Client = f.Client.Unmap().WithZone("")
	r := &Requests{f: f}
	r.answers.r = r
	r.head.reset()
	return r
}

// Answers follows the answers to these requests.
func (r *Requests) Answers() *Answers { return &r.answers }

// Rewrite appends to dst what src, the next bytes of the client, becomes for
// the server. It returns how many bytes of src it has used; those that it has
// not are the beginning of a head or of a line, at most Forwarding.MaxHead - 1
// bytes unless they wait for answers, and the caller shows them again when there
// are more behind them. How a stream is cut into pieces makes no difference to
// what is handed on.
//
// An error is a *[Refusal], and final. What is out then has nothing of the
// refused request, unless the request began in an earlier call.
//
// It allocates nothing, but once a connection where there are fields to edit. A
// browser's head of 700 bytes took 0.9 µs, one of 35 bytes 0.16 µs.
func (r *Requests) Rewrite(dst, src []byte) (out []byte, used int, err error) {
	if r.err != nil {
		return dst, 0, r.err
	}
	out = dst
	start, begun := len(out), false // of the request that comes next or is under way
	for r.err == nil && used < len(src) {
		if r.state == inHead {
			start, begun = len(out), true
		}
		var n int
		out, n, r.err = r.step(out, src[used:])
		if n == 0 {
			break
		}
		used += n
	}
	if r.err != nil {
		out = out[:start]
		if r.cut = r.state != inHead && !begun; r.state != inHead && begun {
			r.answers.unask()
		}
	}
	r.kept = used < len(src)
	return out, used, r.err
}

// Through is how many of the next bytes are data of a body and may pass without
// Rewrite, or -1 where all may that are to come. 0 means that the next bytes go
// through Rewrite.
func (r *Requests) Through() int64 {
	switch r.state {
	case inBody, inChunk:
		return r.left
	case inTunnel:
		return -1
	}
	return 0
}

// Passed notes that n bytes, not more than Through, have passed without Rewrite.
func (r *Requests) Passed(n int64) {
	switch {
	case r.state == inTunnel:
	case n < 0 || n > r.Through():
		panic("wire: more bytes passed than belong to the body")
	default:
		r.left -= n
		if r.left == 0 && r.state == inBody {
			r.finish()
		} else if r.left == 0 && r.state == inChunk {
			r.state = inChunkEnd
		}
	}
}

// Complete reports whether the client may end its stream now without cutting a
// request short.
func (r *Requests) Complete() bool {
	return r.err == nil && (r.state == inHead && !r.kept || r.state >= inSwitch)
}

// Waiting reports whether nothing more can be handed on before the server has
// answered: Rewrite then takes no bytes. What waits is the rest of src.
func (r *Requests) Waiting() bool {
	return r.err == nil && (r.state == inSwitch || r.state == inHead && r.head.whole && r.mustWait())
}

// Hurry is for a client that sends no more: its request does not wait for the
// answers before it, but loses its Upgrade. It reports false where Rewrite takes
// no bytes even so.
func (r *Requests) Hurry() bool {
	r.hurried = true
	return !r.Waiting()
}

// Over reports whether the client has got all answers that it can, and Rewrite
// hands on no other request: since one was refused, or was the client's last.
func (r *Requests) Over() bool {
	a := &r.answers
	if a.blind || a.state == inRest {
		return false
	}
	if r.err != nil && r.cut && a.owed == 1 {
		return a.between()
	}
	return (r.err != nil || r.state == inLast) && a.owed == 0
}

// Cut reports whether the server has a part of the request that was refused.
// answered is whether the client gets no answer of Pen's to it: since the server
// has answered it none the less, or has said of an answer before that it was its
// last.
func (r *Requests) Cut() (cut, answered bool) {
	return r.cut, r.cut && r.answers.owed == 0 || r.answers.closed
}

// Switching reports whether a request that may end HTTP has been handed on, and
// what follows it waits for the answer.
func (r *Requests) Switching() bool { return r.state == inSwitch }

// Refuse has no more requests handed on, for a reason of the caller's unless one
// was refused before.
func (r *Requests) Refuse(why *Refusal) {
	if r.err == nil {
		r.err, r.cut = why, r.state != inHead
	}
}

// Starved reports whether the server has begun to answer the request that was
// refused in its body, and may wait for the rest of it, which will not come.
func (r *Requests) Starved() bool {
	return r.err != nil && r.cut && r.answers.owed == 1 && !r.answers.between()
}

// Blind reports whether it can't be known what answers the client has got.
func (r *Requests) Blind() bool { return r.answers.blind }

// mustWait reports whether a request whose head is whole has to wait for
// answers.
func (r *Requests) mustWait() bool {
	a := &r.answers
	if a.blind || a.state == inRest {
		return false
	}
	return a.owed >= maxOwed || a.owed > 0 && r.head.last() && !r.hurried
}

// settle notes how the server has answered the request that may end HTTP.
func (r *Requests) settle(switched bool) {
	if r.switches != asked {
		return
	}
	r.switches = unasked
	if switched {
		r.switches = agreed
	}
	if r.state == inSwitch {
		r.next()
	}
}

// next ends a request.
func (r *Requests) next() {
	switch {
	case r.switches == asked:
		r.state = inSwitch
	case r.switches == agreed:
		r.state = inTunnel
	case r.last:
		r.state = inLast
	default:
		r.state = inHead
	}
}

// step handles the beginning of src, as far as the state reaches; n is 0 where
// that takes more bytes than there are.
func (r *Requests) step(dst, src []byte) (out []byte, n int, err error) {
	switch r.state {
	case inHead:
		return r.takeHead(dst, src)
	case inBody, inChunk:
		n = int(min(r.left, int64(len(src))))
		r.Passed(int64(n))
		return append(dst, src[:n]...), n, nil
	case inSize:
		return r.takeSize(dst, src)
	case inChunkEnd:
		return r.takeChunkEnd(dst, src)
	case inTrailer:
		return r.takeTrailer(dst, src)
	case inSwitch:
		return dst, 0, nil
	case inLast:
		return dst, len(src), nil
	}
	return append(dst, src...), len(src), nil
}

// takeHead handles a whole head, or an empty line before it, which some clients
// send after a body (RFC 9112, section 2.2) and which goes no further.
func (r *Requests) takeHead(dst, src []byte) (out []byte, n int, err error) {
	if r.head.size == 0 && src[0] == '\r' {
		n, err = lineEnd(src, 0)
		if n > 0 {
			if r.empty++; r.empty > maxEmpty {
				return dst, 0, errEmptyLines
			}
		}
		return dst, n, err
	}
	if !r.head.whole {
		src = src[:min(len(src), r.f.maxHead())]
		if r.head.whole, err = r.head.parse(src); err != nil {
			return dst, 0, err
		}
		if !r.head.whole {
			if len(src) == r.f.maxHead() {
				err = errHeadSize
			}
			return dst, 0, err
		}
	}
	if r.mustWait() {
		return dst, 0, nil
	}
	n = r.head.size
	return r.handOn(dst, src[:n]), n, nil
}

// handOn appends what the head b becomes, and goes on with what follows it.
func (r *Requests) handOn(dst, b []byte) []byte {
	a := &r.answers
	a.blind = a.blind || r.head.method == oddMethod
	if r.head.last() && (a.owed > 0 || a.blind || a.state == inRest) {
		r.head.barred, r.head.upgrade = true, false
	}
	dst = r.appendHead(dst, b)
	a.ask(r.head.method == headMethod)
	if r.head.last() {
		r.switches = asked
	}
	r.last = !r.head.persists()
	switch {
	case r.head.chunked:
		r.state = inSize
	case r.head.length > 0:
		r.state, r.left = inBody, r.head.length
	default:
		r.finish()
	}
	return dst
}

// finish ends a request whose body is over.
func (r *Requests) finish() {
	r.next()
	r.empty, r.trailed, r.trailers = 0, 0, 0
	r.head.reset()
}
