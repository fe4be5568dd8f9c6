package names

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// An Exchange sends one question to a server, at an address with a port, by "udp" or
// "tcp", and returns the reply, which may be truncated. It blocks at most until ctx is
// done.
type Exchange func(ctx context.Context, network, server string, question *dns.Msg) (*dns.Msg, error)

// maxDatagram bounds a reply by UDP, in bytes. Without EDNS servers must keep to 512 (RFC
// 1035, section 4.2.1).
const maxDatagram = 4096

// exchange is the Exchange over the network. Each question has its own socket, and so its
// own port.
func exchange(ctx context.Context, network, server string, question *dns.Msg) (*dns.Msg, error) {
	packed, err := question.Pack()
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		return byTCP(c, question, packed)
	}
	return byUDP(c, question, packed)
}

// byUDP waits for the reply to a question. It ignores all other datagrams, which may be
// attempts to forge a reply.
func byUDP(c net.Conn, question *dns.Msg, packed []byte) (*dns.Msg, error) {
	if _, err := c.Write(packed); err != nil {
		return nil, err
	}
	buf := make([]byte, maxDatagram)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if reply, err := unpack(buf[:n]); err == nil && IsReply(reply, question) {
			return reply, nil
		}
	}
}

// byTCP prefixes a question with its length, as the reply is (RFC 1035, section 4.2.2).
func byTCP(c net.Conn, question *dns.Msg, packed []byte) (*dns.Msg, error) {
	if _, err := c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(packed))), packed...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(c, b); err != nil {
		return nil, err
	}
	reply, err := unpack(b)
	if err == nil && !IsReply(reply, question) {
		err = errors.New("a reply to another question")
	}
	return reply, err
}

// unpack reads a message. The beginning of a truncated one is enough.
func unpack(b []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil && !m.Truncated {
		return nil, errors.New("a malformed reply")
	}
	return m, nil
}

// IsReply reports whether a message is a reply to a question.
func IsReply(m, question *dns.Msg) bool {
	if !m.Response || m.Id != question.Id || m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return false
	}
	got, want := m.Question[0], question.Question[0]
	return got.Qtype == want.Qtype && got.Qclass == want.Qclass && strings.EqualFold(got.Name, want.Name)
}

// ask queries the servers in turn, as often as the configuration says, until one replies:
// with records, with none of this type, or that there is no such name (errNoName).
func (r *resolver) ask(ctx context.Context, c *resolvConf, name string, kind uint16) (*dns.Msg, error) {
	servers := c.servers
	if len(r.servers) > 0 {
		servers = r.servers
	}
	var last error
	for range c.attempts {
		for _, server := range servers {
			m, err := r.askOne(ctx, c.timeout, server, name, kind)
			if err == nil || errors.Is(err, errNoName) {
				return m, err
			}
			last = fmt.Errorf("%s: %w", server, err)
			if ctx.Err() != nil {
				return nil, last
			}
		}
	}
	return nil, last
}

// askOne queries a server by UDP, and by TCP if the reply is truncated.
func (r *resolver) askOne(ctx context.Context, limit time.Duration, server, name string, kind uint16) (*dns.Msg, error) {
	question := new(dns.Msg).SetQuestion(name, kind)
	for _, network := range []string{"udp", "tcp"} {
		m, err := r.try(ctx, limit, network, server, question)
		if err != nil || !m.Truncated {
			return m, err
		}
	}
	return nil, errors.New("the reply is truncated, also by TCP")
}

func (r *resolver) try(ctx context.Context, limit time.Duration, network, server string, question *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	m, err := r.exchange(ctx, network, server, question)
	switch {
	case ctx.Err() != nil:
		return nil, errors.New("no reply")
	case err != nil:
		return nil, err
	case !IsReply(m, question):
		return nil, errors.New("a reply to another question")
	case m.Truncated:
		return m, nil
	case m.Rcode == dns.RcodeNameError:
		return nil, errNoName
	case m.Rcode != dns.RcodeSuccess:
		return nil, errors.New(RcodeText(m.Rcode))
	case len(m.Answer) == 0 && !m.Authoritative && !m.RecursionAvailable:
		return nil, errors.New("the server knows nothing and asks nobody")
	}
	return m, nil
}

// RcodeText is the name of a response code, or its number if it has none.
func RcodeText(code int) string {
	if s, ok := dns.RcodeToString[code]; ok {
		return s
	}
	return fmt.Sprintf("code %d", code)
}
