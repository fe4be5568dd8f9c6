package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"pen/internal/freeport"
)

// A NameServer sends each client its name and waits for the end of the connection. One
// that Echoes is an HTTP server: it answers with what it was sent, a PROXY header if
// there is one and the head of the request.
type NameServer struct {
	Name, Addr string
	Echoes     bool

	ln        net.Listener
	accepting sync.WaitGroup
}

// Start has the server listen on its address, to which it fills in the port.
func (s *NameServer) Start() error {
	ln, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	s.ln, s.Addr = ln, ln.Addr().String()
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

// serve returns when its client has closed the connection.
func (s *NameServer) serve(c net.Conn) {
	defer c.Close()
	if s.Echoes {
		echo(c)
		return
	}
	fmt.Fprintln(c, s.Name)
	io.Copy(io.Discard, c)
}

// Close refuses further connections. Open ones go on.
func (s *NameServer) Close() {
	freeport.Refuse(s.ln)
	s.accepting.Wait()
}

func echo(c net.Conn) {
	var head strings.Builder
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if line == "\r\n" {
			break
		}
		head.WriteString(strings.ReplaceAll(line, "\r", ""))
	}
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", head.Len(), head.String())
}
