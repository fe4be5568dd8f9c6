// Package control answers the control socket: it authorises a client, reads
// its commands, and runs them on an Engine (specification, section 19).
//
// A client may send several commands at once. It gets the replies in order,
// and the connection is closed when no further command is there: penctl reads
// to the end of the stream.
package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"pen/internal/config"
	"pen/internal/stats"
)

const (
	maxLine = 4095 // bytes in a command, as in Pen
	// maxSessions bounds the connections; another one ends the oldest.
	maxSessions = 128

	commandTime = 10 * time.Second // for a command to come
	replyTime   = 30 * time.Second // for a reply to be taken
	// partTime is how long the end of a line is waited for; C Pen takes what
	// one read brings as a command, with or without the end.
	partTime = 500 * time.Millisecond
	// moreTime is how long another command is waited for.
	moreTime = 2 * time.Millisecond
)

// An Engine is what commands are run on. Its methods may be called from any
// goroutine. Errors are one line for the user.
type Engine interface {
	// Config returns the configuration in force.
	Config() config.Config
	// Change makes a setting effective, or changes nothing.
	Change(cmd config.Command) error
	// Act carries out an action and returns its reply.
	Act(cmd config.Command) (string, error)
	// Service returns the service of a name, "" for the first one.
	Service(name string) (Service, error)
	// Services returns an overview of all services.
	Services() []stats.Service
	// Plan tells what reading a file would change.
	Plan(file string) (string, error)
	// Permits reports whether the control access list permits an address; an
	// invalid one is that of a Unix socket.
	Permits(addr netip.Addr) bool
}

// A Service is what questions about one service are asked of.
type Service interface {
	// Servers returns the state of the servers.
	Servers() []stats.Server
	// Idlers is how many connections to servers are kept ready.
	Idlers() int
	// Snapshot returns the state of everything.
	Snapshot() stats.Snapshot
	// Explain tells where a client at an address would go, and why.
	Explain(address string) (string, error)
}

// A Server answers the clients of one control socket.
type Server struct {
	ln     net.Listener
	engine Engine
	log    *slog.Logger
	wg     sync.WaitGroup

	mu       sync.Mutex // guards sessions
	sessions []net.Conn // oldest first
}

// New returns a Server for a listener, which it will close.
func New(ln net.Listener, e Engine, log *slog.Logger) *Server {
	return &Server{ln: ln, engine: e, log: log}
}

// Serve answers until ctx is done. When it returns, every connection is closed
// and nothing is running any more. It blocks.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.wg.Wait()
	defer cancel()
	s.wg.Go(func() {
		<-ctx.Done()
		s.ln.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c := range s.sessions {
			c.Close()
		}
	})
	pause := 5 * time.Millisecond
	for ctx.Err() == nil {
		c, err := s.ln.Accept()
		switch {
		case err == nil:
			pause = 5 * time.Millisecond
			s.begin(ctx, c)
		case errors.Is(err, net.ErrClosed):
			return nil
		default:
			s.log.Warn("can't accept a control connection", "error", err)
			select {
			case <-time.After(pause):
				pause = min(2*pause, time.Second)
			case <-ctx.Done():
			}
		}
	}
	return nil
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
	if len(s.sessions) == maxSessions {
		s.sessions[0].Close()
	}
	s.sessions = append(s.sessions, c)
	s.wg.Go(func() {
		defer s.end(c)
		s.serve(c)
	})
}

func (s *Server) end(c net.Conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.sessions {
		if s.sessions[i] == c {
			s.sessions = append(s.sessions[:i:i], s.sessions[i+1:]...)
			return
		}
	}
}

// serve runs the commands of one client.
func (s *Server) serve(c net.Conn) {
	r := bufio.NewReaderSize(c, maxLine+1)
	c.SetReadDeadline(time.Now().Add(commandTime))
	for {
		line, err := readLine(c, r)
		if line != "" || err == nil {
			reply := s.answer(line, c.RemoteAddr())
			c.SetWriteDeadline(time.Now().Add(replyTime))
			if _, werr := io.WriteString(c, reply); werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
		c.SetReadDeadline(time.Now().Add(moreTime))
	}
}

// readLine returns the next line. The error is why there will be no more.
func readLine(c net.Conn, r *bufio.Reader) (string, error) {
	if _, err := r.Peek(1); err != nil {
		return "", err
	}
	c.SetReadDeadline(time.Now().Add(partTime))
	b, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		long := string(b) // for any command; ParseLine says so
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		return long, err
	}
	line, _, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), "\r")
	return line, err
}

func (s *Server) answer(line string, from net.Addr) string {
	cmd, err := config.ParseLine(line)
	if err != nil {
		return err.Error() + "\n"
	}
	if cmd.Verb == nil {
		return ""
	}
	reply, err := Run(s.engine, cmd)
	if err != nil {
		reply = err.Error() + "\n"
	}
	if cmd.Kind() != config.Question {
		s.log.Info("control command", "from", from, "command", line, "error", err)
	}
	return reply
}
