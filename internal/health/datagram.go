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

// sendExpectDatagram sends a datagram and reads replies until one has the expected text.
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

// askDNS queries the IPv4 addresses of a name. A reply without any is fine: the check is of
// the server, not of the name.
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
