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

	"github.com/miekg/dns"
)

// A DNSServer answers queries for the names of addresses, by UDP.
type DNSServer struct {
	Addr  netip.AddrPort
	conn  net.PacketConn
	names func(netip.Addr) (names []string, answer bool)
	asked atomic.Int64
}

// DNS starts a DNSServer on loopback. It calls names for each query. Without names
// the answer is that there are none; without answer there is none at all.
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

// Asked returns how many queries have come.
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
	query := new(dns.Msg)
	if query.Unpack(b) != nil || len(query.Question) != 1 {
		return nil
	}
	question := query.Question[0].Name
	names, answer := s.names(reversed(question))
	if !answer {
		return nil
	}
	m := new(dns.Msg).SetReply(query)
	m.RecursionAvailable = true
	if len(names) == 0 {
		m.Rcode = dns.RcodeNameError
	}
	for _, name := range names {
		m.Answer = append(m.Answer, &dns.PTR{Hdr: dns.RR_Header{Name: question, Rrtype: dns.TypePTR, Class: dns.ClassINET, Ttl: 60}, Ptr: name})
	}
	reply, err := m.Pack()
	if err != nil {
		panic(err) // the test's own names are wrong
	}
	return reply
}

// reversed returns the address that a name such as 1.2.0.192.in-addr.arpa. stands for,
// or the zero address for any other name.
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
