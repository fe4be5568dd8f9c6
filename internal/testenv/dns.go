package testenv

import (
	"encoding/hex"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// A DNSServer answers questions for the names of addresses, by UDP.
type DNSServer struct {
	Addr  netip.AddrPort
	conn  net.PacketConn
	names func(netip.Addr) (names []string, answer bool)
	asked atomic.Int64
}

// DNS starts a DNSServer on loopback. names is called for each question; the
// answer to no names is that there are none, and answer is whether there is one
// at all.
func DNS(t testing.TB, names func(addr netip.Addr) (names []string, answer bool)) *DNSServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", Loopback)
	if err != nil {
		t.Fatal(err)
	}
	s := &DNSServer{Addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(), conn: conn, names: names}
	var running sync.WaitGroup
	running.Go(s.serve)
	t.Cleanup(func() {
		conn.Close()
		running.Wait()
	})
	return s
}

// Asked is how many questions have come.
func (s *DNSServer) Asked() int { return int(s.asked.Load()) }

func (s *DNSServer) serve() {
	buf := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		s.asked.Add(1)
		if reply := s.reply(buf[:n]); reply != nil {
			s.conn.WriteTo(reply, from)
		}
	}
}

// reply returns nil for no reply.
func (s *DNSServer) reply(b []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(b) != nil || len(m.Questions) != 1 {
		return nil
	}
	names, answer := s.names(reversed(m.Questions[0].Name.String()))
	if !answer {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	if len(names) == 0 {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, name := range names {
		m.Answers = append(m.Answers, dnsmessage.Resource{
			Header: dnsmessage.ResourceHeader{Name: m.Questions[0].Name, Class: dnsmessage.ClassINET, TTL: 60},
			Body:   &dnsmessage.PTRResource{PTR: dnsmessage.MustNewName(name)},
		})
	}
	reply, err := m.Pack()
	if err != nil {
		panic(err) // of what a test has made
	}
	return reply
}

// reversed is the address of which a name such as 1.2.0.192.in-addr.arpa.
// asks; the zero one for any other name.
func reversed(name string) netip.Addr {
	if labels, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		bytes := strings.Split(labels, ".")
		slices.Reverse(bytes)
		addr, _ := netip.ParseAddr(strings.Join(bytes, "."))
		return addr
	}
	if labels, ok := strings.CutSuffix(name, ".ip6.arpa."); ok {
		digits := strings.Split(labels, ".")
		slices.Reverse(digits)
		b, _ := hex.DecodeString(strings.Join(digits, ""))
		addr, _ := netip.AddrFromSlice(b)
		return addr
	}
	return netip.Addr{}
}
