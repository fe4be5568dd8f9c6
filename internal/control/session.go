package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"pen/internal/config"
	"pen/internal/sock"
	"pen/internal/wire"
)

const (
	maxLine = 4095 // bytes in a command, as in Pen

	commandTime = 10 * time.Second // for a command to come, with its end
	replyTime   = 30 * time.Second // for a reply to be taken
	// moreTime is how long another command is waited for.
	moreTime = 2 * time.Millisecond
	// A client that is refused is read from for a while, so that what it still
	// sends does not cost it the reply.
	lingerTime  = time.Second
	lingerBytes = 64 << 10
)

var (
	errLong    = fmt.Errorf("a line of more than %d bytes", maxLine)
	errHTTP    = errors.New("unknown command; this is the control socket of Pen and not a web server")
	errPartial = errors.New("the command has no end of line, and was not run")
)

// A session is one client of a control socket.
type session struct {
	*Server
	c     net.Conn
	from  string
	level config.Level
}

func newSession(s *Server, c net.Conn) *session {
	return &session{Server: s, c: c, from: sock.Peer(c), level: s.opt.Level}
}

// serve runs the commands of the client, up to the first line that is none.
func (s *session) serve() {
	r := bufio.NewReaderSize(s.c, maxLine+1)
	wait := commandTime
	for {
		line, err := s.readLine(r, wait)
		if errors.Is(err, errLong) || errors.Is(err, errPartial) {
			if s.write(err.Error()+"\n") == nil {
				s.linger()
			}
			return
		}
		if err != nil {
			return
		}
		a := s.answer(line)
		if s.write(a.reply) != nil {
			return
		}
		if a.last {
			s.linger()
			return
		}
		wait = moreTime
		if a.awaits {
			wait = commandTime
		}
	}
}

// readLine returns the next line without its end. A part of a line is an error:
// it may be the beginning of another command than the client means.
func (s *session) readLine(r *bufio.Reader, wait time.Duration) (string, error) {
	s.c.SetReadDeadline(time.Now().Add(wait))
	if _, err := r.Peek(1); err != nil {
		return "", err
	}
	s.c.SetReadDeadline(time.Now().Add(commandTime))
	b, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", errLong
	case err != nil:
		return "", errPartial
	}
	line, _, _ := strings.Cut(strings.TrimSuffix(string(b), "\n"), "\r")
	return line, nil
}

func (s *session) write(reply string) error {
	if reply == "" {
		return nil
	}
	s.c.SetWriteDeadline(time.Now().Add(replyTime))
	_, err := io.WriteString(s.c, reply)
	return err
}

// linger ends the replies and waits, within bounds, until the client has seen
// that: to close on what it still sends would reset the connection.
func (s *session) linger() {
	half, ok := s.c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	s.c.SetReadDeadline(time.Now().Add(lingerTime))
	io.CopyN(io.Discard, s.c, lingerBytes)
}

// An answer is what a client gets for a line.
type answer struct {
	reply  string
	last   bool // no further line is read
	awaits bool // the client is given time to send another one
}

// refuse ends a session with an error.
func refuse(err error) answer { return answer{reply: err.Error() + "\n", last: true} }

// answer runs the command in a line.
func (s *session) answer(line string) answer {
	line, awaits, err := s.authorise(line)
	if wire.IsHTTPLine(line) {
		err = errHTTP
	}
	if err != nil {
		s.opt.Log.Warn("control client refused", "client", s.from, "error", err)
		return refuse(err)
	}
	cmd, err := config.ParseLine(line)
	switch {
	case err != nil:
		return refuse(err)
	case cmd.Verb == nil:
		return answer{awaits: awaits} // a comment, or nothing
	}
	if err := s.permit(cmd); err != nil {
		s.opt.Log.Warn("control command refused", "client", s.from, "command", line, "error", err)
		return refuse(err)
	}
	reply, err := Run(s.engine, cmd)
	if err != nil {
		reply = err.Error() + "\n"
	}
	if cmd.Kind() != config.Question || cmd.Level() == config.Local {
		args := []any{"client", s.from, "command", line}
		if err != nil {
			args = append(args, "error", err)
		}
		s.opt.Log.Info("control command", args...)
	}
	return answer{reply: reply}
}

// authorise takes a leading "auth TOKEN" off a line. awaits reports that
// nothing was behind it.
func (s *session) authorise(line string) (rest string, awaits bool, err error) {
	word, rest := cutWord(line)
	if word != "auth" {
		return line, false, nil
	}
	token, rest := cutWord(rest)
	if len(s.opt.Tokens) == 0 {
		return "", false, errors.New("auth: this control socket has no tokens; control_token sets them")
	}
	level, ok := s.opt.Tokens.level(token)
	if !ok {
		return "", false, errors.New("auth: wrong token")
	}
	s.level = max(s.level, level)
	return rest, rest == "", nil
}

// cutWord returns the first word of a line, and what is behind it.
func cutWord(line string) (word, rest string) {
	line = strings.Trim(line, " \t")
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return line, ""
	}
	return line[:i], strings.TrimLeft(line[i:], " \t")
}

// permit reports why a client may not run a command.
func (s *session) permit(cmd config.Command) error {
	need := cmd.Level()
	switch {
	case need <= s.level:
		return nil
	case need == config.Local:
		return fmt.Errorf("%s: only by a Unix control socket, or in the configuration file", cmd.Verb.Name)
	case s.level == 0:
		return fmt.Errorf("%s: want a token first: auth TOKEN", cmd.Verb.Name)
	case len(s.opt.Tokens) > 0:
		return fmt.Errorf("%s: needs a token of level %s, this client has level %s", cmd.Verb.Name, need, s.level)
	}
	return fmt.Errorf("%s: needs level %s, this client has level %s; see control_level and control_token", cmd.Verb.Name, need, s.level)
}
