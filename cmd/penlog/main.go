// Penlog sends each line of its standard input to penlogd, so that a web
// server can write its log through it (specification, section 22).
//
//	penlog SERVER_IP SERVER_PORT [MY_IP]
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// maxLine is the size of a datagram; a longer line is sent in several.
const maxLine = 1023

func main() {
	if err := run(os.Args[1:], os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string, in io.Reader) error {
	if len(args) < 2 {
		return errors.New("Usage: penlog server_ip server_port [my_ip]")
	}
	var d net.Dialer
	if len(args) > 2 {
		ip := net.ParseIP(args[2])
		if ip == nil {
			return fmt.Errorf("penlog: %q is not an address to send from", args[2])
		}
		d.LocalAddr = &net.UDPAddr{IP: ip}
	}
	c, err := d.Dial("udp", net.JoinHostPort(args[0], args[1]))
	if err != nil {
		return fmt.Errorf("penlog: %w", err)
	}
	defer c.Close()
	return send(in, c)
}

// send sends lines until the input ends. It ignores errors of sending, as when penlogd is
// down: the web server must not stop because of its log.
func send(in io.Reader, out io.Writer) error {
	r := bufio.NewReaderSize(in, maxLine)
	for {
		line, err := r.ReadSlice('\n')
		if len(line) > 0 {
			out.Write(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return fmt.Errorf("penlog: standard input: %w", err)
		}
	}
}
