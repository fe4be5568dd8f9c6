package pen_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"pen/internal/freeport"

	"github.com/rogpeppe/go-internal/testscript"
)

// A nameServer answers each connection with its name and waits for its end,
// unless it echoes.
type nameServer struct {
	name, addr string
	echoes     bool
	ln         net.Listener
	accepting  sync.WaitGroup
}

func (s *nameServer) start() error {
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		return err
	}
	s.ln, s.addr = ln, ln.Addr().String()
	s.accepting.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	})
	return nil
}

// serve ends with its client.
func (s *nameServer) serve(c net.Conn) {
	defer c.Close()
	if s.echoes {
		echo(c)
		return
	}
	fmt.Fprintln(c, s.name)
	io.Copy(io.Discard, c)
}

// close has the server accept no more; what it serves goes on.
func (s *nameServer) close() {
	freeport.Refuse(s.ln)
	s.accepting.Wait()
}

// servers NAME... starts servers that answer with their names. $NAME is the
// address of each, $NAME_PORT its port.
func servers(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		s := &nameServer{name: name, addr: freeAddr(ts)}
		ts.Check(s.start())
		worldOf(ts).servers[name] = s
		setAddr(ts, name, s.addr)
	}
}

// echoes NAME... starts HTTP servers that answer with what they were told: a
// PROXY header, if there is one, and the head of the request.
func echoes(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		s := &nameServer{name: name, addr: freeAddr(ts), echoes: true}
		ts.Check(s.start())
		worldOf(ts).servers[name] = s
		setAddr(ts, name, s.addr)
	}
}

func echo(c net.Conn) {
	var told strings.Builder
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
		told.WriteString(strings.ReplaceAll(line, "\r", ""))
	}
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", told.Len(), told.String())
}

// stopserver NAME... has servers refuse connections; open ones go on.
func stopServer(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		worldOf(ts).servers[name].close()
	}
}

// startserver NAME... has stopped servers accept again.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(worldOf(ts).servers[name].start())
	}
}
