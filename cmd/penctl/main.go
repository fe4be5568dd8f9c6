// Penctl sends one command to the control port or control socket of a running
// Pen and prints the reply.
//
//	penctl HOST:PORT|/PATH COMMAND...
//
// If the control port requires a token (control_token), PENCTL_TOKEN_FILE names a file that
// contains it: the first line that is neither empty nor a comment.
//
// It exits 0 when there was a reply, even an empty one or an error message; 1, with the
// reason on standard error, when Pen could not be reached.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	usage = "usage: penctl host:port command"
	// tokenVariable names a file rather than a token, so that no secret is in scripts or
	// in lists of processes.
	tokenVariable = "PENCTL_TOKEN_FILE"

	commandMax  = 1023 // bytes of a command with its newline
	connectTime = 10 * time.Second
	silence     = 60 * time.Second // the longest pause in the reply
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprintln(stdout, usage)
		return 0
	}
	if err := ask(args[0], args[1:], stdout); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

func ask(address string, words []string, reply io.Writer) error {
	command := strings.Join(words, " ") + "\n"
	if len(command) > commandMax {
		return errors.New("Overlong argument list")
	}
	network, address, err := split(address)
	if err != nil {
		return err
	}
	if name := os.Getenv(tokenVariable); name != "" && network == "tcp" {
		token, err := readToken(name)
		if err != nil {
			return err
		}
		command = "auth " + token + " " + command
	}
	conn, err := net.DialTimeout(network, address, connectTime)
	if err != nil {
		return fmt.Errorf("error connecting to server: %w", err)
	}
	defer conn.Close()
	return exchange(conn, command, reply)
}

// readToken returns the first token of a file.
func readToken(name string) (string, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", tokenVariable, err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line, nil
		}
	}
	return "", fmt.Errorf("%s: there is no token in %s", tokenVariable, name)
}

// split parses the path of a Unix socket, or a host and a port separated by the last colon;
// square brackets around the host are optional.
func split(s string) (network, address string, err error) {
	if strings.Contains(s, "/") {
		return "unix", s, nil
	}
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 || colon == len(s)-1 {
		return "", "", fmt.Errorf("no port given in %q, want host:port or the path of a socket", s)
	}
	host := s[:colon]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	return "tcp", net.JoinHostPort(host, s[colon+1:]), nil
}

// exchange sends the command and copies the reply until Pen closes the connection. It does
// not close its sending side before: Pen would take the client for gone.
func exchange(conn net.Conn, command string, reply io.Writer) error {
	var n int64
	conn.SetWriteDeadline(time.Now().Add(silence))
	_, err := io.WriteString(conn, command)
	if err == nil {
		n, err = io.Copy(reply, patientReader{conn})
	}
	// Pen closes the connection of a client whose address has no permission. That may read
	// as an end or as a reset; either way the reply is empty.
	if n == 0 && (errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)) {
		return nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("no more of the reply within %v", silence)
	}
	if err != nil {
		return fmt.Errorf("error during the exchange: %w", err)
	}
	return nil
}

// A patientReader fails when nothing arrives for the time of silence.
type patientReader struct{ conn net.Conn }

func (r patientReader) Read(b []byte) (int, error) {
	if err := r.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, err
	}
	return r.conn.Read(b)
}
