package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"pen/internal/testenv"
)

// Call connects and returns the first line that the server sends, which is the name of
// a [NameServer]. The connection stays open; without an answer it is nil, and the name
// is "closed".
func Call(addr string, from *net.TCPAddr) (net.Conn, string) { return Say(addr, from, "") }

// Say is [Call] by a client that sends a text first.
func Say(addr string, from *net.TCPAddr, text string) (net.Conn, string) {
	d := net.Dialer{Timeout: testenv.Limit}
	network := networkOf(addr)
	if network == "tcp" && from != nil {
		d.LocalAddr = from
	}
	c, err := d.Dial(network, addr)
	if err != nil {
		return nil, "closed"
	}
	c.SetDeadline(time.Now().Add(testenv.Limit))
	io.WriteString(c, text)
	name, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		c.Close()
		return nil, "closed"
	}
	return c, strings.TrimSpace(name)
}

// Fetch makes an HTTP request by a connection of its own and returns the body of the
// answer, whose status must be 200.
func Fetch(addr string, from *net.TCPAddr) (body string, err error) {
	d := net.Dialer{Timeout: testenv.Limit, LocalAddr: from}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
	return TalkHTTP(c)
}

// TalkHTTP makes an HTTP request over a connection and returns the body of the answer,
// whose status must be 200.
func TalkHTTP(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		return "", fmt.Errorf("answer %.40q", answer)
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	return strings.TrimSpace(body), nil
}
