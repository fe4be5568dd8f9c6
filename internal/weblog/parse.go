package weblog

import (
	"bytes"
	"net/netip"
	"strconv"
	"time"
)

const (
	timeFormat = "[02/Jan/2006:15:04:05 -0700]" // of the lines that Merge writes
	lastTime   = 253402300799                   // the end of the year 9999, in Unix time
	maxAddress = 128                            // bytes of a client's or server's address
)

// MaxRequest is how many bytes of a request Pen logs.
const MaxRequest = 100

// A key is what both logs have of a request: the server, and the request as Pen logs it.
type key struct{ server, request string }

// A penLine is a line of Pen's log: CLIENT TIME SERVER REQUEST.
type penLine struct {
	key
	client string
	time   int64 // Unix time
}

func parsePen(line []byte) (penLine, bool) {
	client, rest, _ := bytes.Cut(line, []byte(" "))
	at, rest, _ := bytes.Cut(rest, []byte(" "))
	server, request, ok := bytes.Cut(rest, []byte(" "))
	t, err := strconv.ParseInt(string(at), 10, 64)
	if !ok || err != nil || t < 0 || t > lastTime ||
		len(client) == 0 || len(client) > maxAddress || len(server) == 0 || len(server) > maxAddress {
		return penLine{}, false
	}
	request = bytes.Clone(request[:min(len(request), MaxRequest)])
	for i, c := range request {
		request[i] = Clean(c)
	}
	return penLine{key{canonical(string(server)), string(request)}, string(client), t}, true
}

// canonical returns an address in canonical form, and anything else, such as the path of a
// socket, as it is.
func canonical(server string) string {
	if a, err := netip.ParseAddr(server); err == nil {
		return a.Unmap().String()
	}
	return server
}

// A webLine is a line of the common or combined log format:
//
//	CLIENT IDENT USER [TIME] "REQUEST" REST
type webLine struct {
	line    []byte
	client  int    // where the client ends
	from    int    // where the time starts, with its bracket
	to      int    // where it ends
	time    int64  // Unix time
	request string // as Pen logs it
}

func parseWeb(line []byte) (webLine, bool) {
	w := webLine{line: line, client: bytes.IndexByte(line, ' ')}
	if w.client <= 0 || !w.findTime() {
		return webLine{}, false
	}
	quote := bytes.IndexByte(line[w.to:], '"')
	if quote < 0 {
		return webLine{}, false
	}
	var ok bool
	w.request, ok = logged(line[w.to+quote+1:])
	return w, ok
}

// parseTime parses the time of the common log format. Without a zone it is UTC.
func parseTime(text string) (int64, bool) {
	t, err := time.Parse("2/Jan/2006:15:04:05 -0700", text)
	if err != nil {
		t, err = time.Parse("2/Jan/2006:15:04:05", text)
	}
	return t.Unix(), err == nil && t.Unix() >= 0 && t.Unix() <= lastTime
}

// findTime finds the first time in brackets; a user's name may contain brackets too.
func (w *webLine) findTime() bool {
	const most = len(timeFormat)
	for from := w.client; ; from++ {
		open := bytes.IndexByte(w.line[from:], '[')
		if open < 0 {
			return false
		}
		from += open
		text, _, closed := bytes.Cut(w.line[from+1:min(len(w.line), from+most)], []byte("]"))
		if !closed {
			continue
		}
		if t, ok := parseTime(string(text)); ok {
			w.from, w.to, w.time = from, from+1+len(text)+1, t
			return true
		}
	}
}

// logged turns a request that a web server has logged in quotes into the form in which Pen
// logs it, and reports whether the closing quote was found. Web servers escape characters
// that Pen does not: nginx writes a quote as \x22, Apache as \".
func logged(quoted []byte) (string, bool) {
	request := make([]byte, 0, MaxRequest)
	ended := false // the request's first line
	for i := 0; i < len(quoted); i++ {
		c := quoted[i]
		if c == '"' {
			return string(request), true
		}
		if c == '\\' {
			n := 0
			c, n = unescape(quoted[i:])
			i += n - 1
		}
		ended = ended || c == '\r' || c == '\n'
		if !ended && len(request) < MaxRequest {
			request = append(request, Clean(c))
		}
	}
	return "", false
}

// unescape returns the byte that an escape stands for, and the length of the escape. Any
// other backslash stands for itself.
func unescape(b []byte) (c byte, n int) {
	if len(b) >= 2 && (b[1] == '"' || b[1] == '\\') {
		return b[1], 2
	}
	if len(b) >= 4 && b[1] == 'x' {
		if v, err := strconv.ParseUint(string(b[2:4]), 16, 8); err == nil {
			return byte(v), 4
		}
	}
	return b[0], 1
}

// Clean returns a byte of a request as Pen logs it: one that does not print becomes a dot.
func Clean(c byte) byte {
	if c < ' ' || c > '~' {
		return '.'
	}
	return c
}
