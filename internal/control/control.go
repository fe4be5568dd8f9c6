// Package control answers the control socket: it authorises a client, reads
// its commands, runs them on an [engine.Engine], and writes the results as text
// (specification, section 19).
//
// A client may send several commands at once. It gets the replies in order,
// and the connection is closed when no further command is there: penctl reads
// to the end of the stream. It is closed at the first line that is no command,
// too: whoever speaks another protocol, such as a browser that was talked into
// a request, gets no further.
package control

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"

	"pen/internal/config"
	"pen/internal/engine"
	"pen/internal/sock"
)

// maxSessions bounds the connections; another one ends the oldest.
const maxSessions = 128

// Options say who may do what.
type Options struct {
	Log *slog.Logger
	// Level is what a client may do without a token; a Unix socket's may do
	// what is Local.
	Level config.Level
	// Tokens give clients other levels.
	Tokens Tokens
	// Sessions is how many clients there may be at a time, if fewer than 128.
	Sessions int
}

// A Server answers the clients of one control socket.
type Server struct {
	ln     net.Listener
	engine engine.Engine
	opt    Options
	wg     sync.WaitGroup

	mu       sync.Mutex // guards sessions
	sessions []net.Conn // oldest first
}

// New returns a Server for a listener, which it will close.
func New(ln net.Listener, e engine.Engine, o Options) *Server {
	o.Sessions = min(cmp.Or(o.Sessions, maxSessions), maxSessions)
	return &Server{ln: ln, engine: e, opt: o}
}

// Serve answers until ctx is done. When it returns, every connection is closed
// and nothing is running any more. It blocks.
func (s *Server) Serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	s.wg.Go(func() {
		<-ctx.Done()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.sessions {
			c.Close()
		}
	})
	sock.Accept(ctx, s.ln, func(c net.Conn) { s.begin(ctx, c) }, func(err error) { s.opt.Log.Warn("can't accept a control connection", "error", err) })
}

// begin serves a client, unless it is denied: then it is closed in silence.
func (s *Server) begin(ctx context.Context, c net.Conn) {
	var addr netip.Addr
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		addr = tcp.AddrPort().Addr().Unmap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil || !s.engine.Permits(addr) {
		c.Close()
		return
	}
	if len(s.sessions) >= s.opt.Sessions {
		s.sessions[0].Close()
		s.sessions = slices.Delete(s.sessions, 0, 1)
	}
	s.sessions = append(s.sessions, c)
	s.wg.Go(func() {
		defer s.end(c)
		newSession(s, c).serve()
	})
}

func (s *Server) end(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.sessions, c); i >= 0 {
		s.sessions = slices.Delete(s.sessions, i, i+1)
	}
}
