package peers_test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	dnswire "github.com/miekg/dns"
)

// An informed is a server that learns of its clients by a PROXY header.
type informed struct {
	name  string
	at    string // where it listens
	check string
	talk  func(net.Conn) (string, error)
	says  string // its answer to client $ip:$port, which connected to Pen at $asked
}

var informedServers = []informed{
	{"nginx http", "127.0.1.1 port 80", "http /", lab.TalkHTTP, `^$ip:$port asked $asked$`},
	{"nginx stream", "127.0.1.1 port 81", "tcp", talkLine, `^$ip:$port asked $asked$`},
	{"HAProxy", "127.0.1.2 port 80", "http /", lab.TalkHTTP, `^$ip:$port asked $asked, id( [0-9A-Z]{26})?$`},
	{"Postfix", "127.0.1.3 port 25", "expect 554", talkLine, `^554 5.7.1 <unknown\[$ip\]>: Client host rejected: Access denied$`},
}

// Real servers take the client from Pen's PROXY header, for both address families, and
// recognise health checks.
func TestHeadersToPeers(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	const says = `"$proxy_protocol_addr:$proxy_protocol_port asked $proxy_protocol_server_addr:$proxy_protocol_server_port\n"`
	p.nginx(t, "127.0.1.1:81", `server { listen 127.0.1.1:80 proxy_protocol; location / { return 200 `+says+`; } }`,
		`server { listen 127.0.1.1:81 proxy_protocol; return `+says+`; }`)
	p.haproxy(t, "127.0.1.2:80", `frontend web
	bind 127.0.1.2:80 accept-proxy
	http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] asked %[dst]:%[dst_port], id %[fc_pp_unique_id]\n"
`)
	p.postfix(t, "127.0.1.3:25", "smtpd_upstream_proxy_protocol = haproxy\nsmtpd_delay_reject = no\nsmtpd_client_restrictions = reject\n")
	var conf strings.Builder
	for v, header := range []string{"v1", "v2 unique_id"} {
		for i, s := range informedServers {
			fmt.Fprintf(&conf, "service s%d%d\nlisten 127.0.0.1:1%d%d0 :::1%d%d1\nsend_proxy %s\nserver 0 address %s\ncheck %s interval 200ms timeout 20\n",
				v, i, v, i, v, i, header, s.at, s.check)
		}
	}
	p.pen(t, conf.String())
	for v, header := range []string{"v1", "v2"} {
		for i, s := range informedServers {
			t.Run(s.name+" "+header, func(t *testing.T) {
				for _, client := range []struct{ from, ip, port string }{
					{"127.0.0.77", "127.0.0.1", fmt.Sprintf("1%d%d0", v, i)},
					{"127.0.0.78", "127.0.0.1", fmt.Sprintf("1%d%d1", v, i)}, // as an IPv6 socket has it
					{"::1", "::1", fmt.Sprintf("1%d%d1", v, i)},
				} {
					s.visit(t, p, client.from, client.ip, client.port)
				}
				p.await(t, fmt.Sprintf("service s%d%d state", v, i), "check [a-z]+ up")
			})
		}
	}
}

// visit sends a request through Pen from an address, and compares the answer.
func (s *informed) visit(t *testing.T, p *peers, from, ip, port string) {
	t.Helper()
	want := ""
	got, err := p.visit("tcp", from, net.JoinHostPort(ip, port), func(c net.Conn) (string, error) {
		_, own, _ := net.SplitHostPort(c.LocalAddr().String())
		want = os.Expand(s.says, func(name string) string {
			return map[string]string{"": "$", "ip": from, "port": own, "asked": ip + ":" + port}[name]
		})
		return s.talk(c)
	})
	if err != nil || !regexp.MustCompile(want).MatchString(got) {
		t.Errorf("%s is answered %q, %v, want %s", from, got, err, want)
	}
}

// talkUnbound queries who.test and returns the response code.
func talkUnbound(c net.Conn) (string, error) {
	conn := dnswire.Conn{Conn: c}
	if err := conn.WriteMsg(new(dnswire.Msg).SetQuestion("who.test.", dnswire.TypeTXT)); err != nil {
		return "", err
	}
	m, err := conn.ReadMsg()
	if err != nil {
		return "", err
	}
	return dnswire.RcodeToString[m.Rcode], nil
}

// unbound starts unbound at an address.
func (p *peers) unbound(t *testing.T, addr, settings string) {
	t.Helper()
	conf := p.write(t, "unbound.conf", lab.UnboundConfig(addr, p.dir, "unbound", strings.ReplaceAll(settings, "\n", "\n\t")))
	p.place.Start(t, addr+":53", "unbound", "-d", "-c", conf)
}

// unbound expects a header in each datagram. It applies its access list to the sender
// of the header as well, so Pen must be allowed.
func TestHeadersToUnbound(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	p.unbound(t, "127.0.1.4", `proxy-protocol-port: 53
access-control: 127.0.0.0/8 refuse
access-control: 127.0.0.1/32 allow
access-control: 127.0.0.77/32 allow`)
	p.pen(t, `service datagrams
protocol udp
listen 127.0.0.1:1001
send_proxy v2 each
server 0 address 127.0.1.4 port 53
check dns who.test interval 200ms timeout 20
service first
protocol udp
listen 127.0.0.1:1002
send_proxy v2
server 0 address 127.0.1.4 port 53
service connections
listen 127.0.0.1:1003
send_proxy v2
server 0 address 127.0.1.4 port 53
`)
	for _, tt := range []struct{ network, to string }{{"udp", "127.0.0.1:1001"}, {"udp", "127.0.0.1:1002"}, {"tcp", "127.0.0.1:1003"}} {
		for from, want := range map[string]string{"127.0.0.77": "NOERROR", "127.0.0.78": "REFUSED"} {
			if got, err := p.visit(tt.network, from, tt.to, talkUnbound); got != want {
				t.Errorf("%s over %s to %s: %s %v, want %s", from, tt.network, tt.to, got, err, want)
			}
		}
	}
	twice := func(c net.Conn) (string, error) {
		if got, err := talkUnbound(c); err != nil || got != "NOERROR" {
			return got, err
		}
		return talkUnbound(c)
	}
	if got, err := p.visit("udp", "127.0.0.77", "127.0.0.1:1001", twice); got != "NOERROR" {
		t.Errorf("second datagram of a flow, with a header: %s %v", got, err)
	}
	p.await(t, "service datagrams state", "check dns up")
	if said := lab.ReadFile(p.file("unbound.log")); strings.Contains(said, "proxy_protocol") {
		t.Errorf("unbound said %s", said)
	}
	// Without a header unbound does not answer the second one, but logs it.
	p.visit("udp", "127.0.0.77", "127.0.0.1:1002", func(c net.Conn) (string, error) {
		if got, err := talkUnbound(c); got != "NOERROR" {
			t.Errorf("first datagram of a flow: %s %v", got, err)
		}
		_, err := c.Write(make([]byte, 40))
		return "", err
	})
	testenv.Eventually(t, "unbound misses a header", func() bool {
		return strings.Contains(lab.ReadFile(p.file("unbound.log")), "could not match PROXYv2 header")
	})
}
