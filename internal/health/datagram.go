package health

import (
	"bytes"
	"fmt"
	"io"
	"net"

	"github.com/miekg/dns"

	"pen/internal/check"
	"pen/internal/names"
)

// sendExpectDatagram sends a datagram and reads others until what is expected
// is in one of them.
func sendExpectDatagram(c net.Conn, s check.Spec) (string, error) {
	if _, err := io.WriteString(c, s.Send); err != nil {
		return "", err
	}
	var got []byte
	buf := make([]byte, maxBytes)
	for {
		n, err := c.Read(buf)
		switch {
		case err == nil && bytes.Contains(buf[:n], []byte(s.Expect)):
			return fmt.Sprintf("got %q", s.Expect), nil
		case err == nil:
			got = bytes.Clone(buf[:n])
		case got != nil:
			return "", &unexpected{s.Expect, got}
		default:
			return "", err
		}
	}
}

// askDNS asks for the IPv4 addresses of a name. An answer that there are none
// is good: what is checked is the server, not the name.
func askDNS(c net.Conn, name string) (string, error) {
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA)
	packet, err := question.Pack()
	if err != nil {
		return "", err
	}
	if _, err := c.Write(packet); err != nil {
		return "", err
	}
	buf := make([]byte, maxBytes)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return "", err
		}
		var answer dns.Msg
		if err := answer.Unpack(buf[:n]); err != nil {
			return "", fmt.Errorf("bad DNS message: %w", err)
		}
		switch {
		case !names.IsReply(&answer, question):
			continue // to another question, or an attempt to forge an answer
		case answer.Rcode != dns.RcodeSuccess:
			return "", fmt.Errorf("answer %s", names.RcodeText(answer.Rcode))
		}
		return fmt.Sprintf("answer %s", names.RcodeText(answer.Rcode)), nil
	}
}
