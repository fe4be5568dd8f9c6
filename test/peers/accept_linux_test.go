package peers_test

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	dnswire "github.com/miekg/dns"
)

// haproxySenders are proxies in front of Pen, which connect from 127.0.0.5, and the
// server behind it.
const haproxySenders = `
listen v1
	mode tcp
	bind 127.0.0.1:3001,[::1]:3001
	server pen 127.0.0.1:2001 source 127.0.0.5 send-proxy
listen v2
	mode tcp
	bind 127.0.0.1:3002,[::1]:3002
	unique-id-format "from %[src]"
	server pen 127.0.0.1:2001 source 127.0.0.5 send-proxy-v2 proxy-v2-options unique-id,crc32c
listen ssl
	mode tcp
	bind 127.0.0.1:3003 ssl crt DIR/ca-www.test.pem ca-file DIR/ca.pem verify optional alpn http/1.1
	unique-id-format "from %[src]"
	server pen 127.0.0.1:2001 source 127.0.0.5 send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,unique-id,crc32c
listen unix
	mode tcp
	bind 127.0.0.1:3006
	server pen unix@DIR/pen.sock send-proxy-v2
listen checks
	mode tcp
	bind 127.0.0.1:3004
	server pen 127.0.0.1:2003 source 127.0.0.8 send-proxy-v2 check inter 100ms
frontend server
	bind 127.0.1.2:80 accept-proxy
	http-request return status 200 content-type text/plain lf-string "%[src] asked %[dst]:%[dst_port], authority %[fc_pp_authority], id %[fc_pp_unique_id]\n"
`

// accepting is the configuration of a Pen behind proxies. Its access list denies the
// proxies' own addresses.
const accepting = `acl 1 deny 127.0.0.66
acl 1 deny 2001:db8::66
acl 1 deny 127.0.0.5
acl 1 deny 127.0.0.6
client_acl 1
tracking_prefix 32 128
listen 127.0.0.1:2001
accept_proxy 127.0.0.5 127.0.0.6
send_proxy v2 tlvs authority,unique_id max 512
server 0 address 127.0.1.2 port 80
service relay
listen 127.0.0.1:2002
source 127.0.0.5
server 0 address 127.0.0.1 port 2001
service unix
listen DIR/pen.sock
accept_proxy unix
client_acl 1
send_proxy v2 tlvs authority,unique_id max 512
server 0 address 127.0.1.2 port 80
service secure
listen 127.0.0.1:2005
accept_proxy 127.0.0.5
client_acl 1
ssl DIR/ca-www.test.pem
send_proxy v2 tlvs authority,unique_id max 512
server 0 address 127.0.1.2 port 80
service secure-relay
listen 127.0.0.1:2006
source 127.0.0.5
server 0 address 127.0.0.1 port 2005
service checked
listen 127.0.0.1:2003
accept_proxy 127.0.0.8
server 0 address 127.0.1.1 port 80
`

// A sender is a client that reaches Pen by a proxy, which sends a PROXY header.
type sender struct {
	name, client string
	service      string // of Pen's; "" is the first one
	url          string // of the proxy
	args         []string
	says         string // what Pen's server learns of the client
}

func senders(ca, mine string) []sender {
	const by = ", authority , id [0-9A-Z]{26}"
	withTLS := []string{"--cacert", ca, "--cert", mine, "--resolve", "www.test:3003:127.0.0.1", "--resolve", "www.test:2006:127.0.0.1"}
	return []sender{
		{"curl", "127.0.0.21", "", "http://127.0.0.1:2002", []string{"--haproxy-protocol"}, "127.0.0.21 asked 127.0.0.1:2002" + by},
		{"HAProxy v1", "127.0.0.22", "", "http://127.0.0.1:3001", nil, "127.0.0.22 asked 127.0.0.1:3001" + by},
		{"HAProxy v1 IPv6", "2001:db8::22", "", "http://[::1]:3001", nil, "2001:db8::22 asked ::1:3001" + by},
		{"HAProxy v2", "127.0.0.23", "", "http://127.0.0.1:3002", nil, "127.0.0.23 asked 127.0.0.1:3002, authority , id from 127.0.0.23"},
		{"HAProxy v2 IPv6", "2001:db8::23", "", "http://[::1]:3002", nil, "2001:db8::23 asked ::1:3002, authority , id from 2001:db8::23"},
		{"HAProxy v2-ssl", "127.0.0.24", "", "https://www.test:3003", withTLS, "127.0.0.24 asked 127.0.0.1:3003, authority www.test, id from 127.0.0.24"},
		{"nginx", "127.0.0.25", "", "http://127.0.0.1:3005", nil, "127.0.0.25 asked 127.0.0.1:3005" + by},
		{"HAProxy by a Unix socket", "127.0.0.26", "unix", "http://127.0.0.1:3006", nil, "127.0.0.26 asked 127.0.0.1:3006" + by},
		{"curl with TLS", "127.0.0.27", "secure", "https://www.test:2006", append(withTLS, "--haproxy-protocol"), "127.0.0.27 asked 127.0.0.1:2006, authority www.test, id [0-9A-Z]{26}"},
	}
}

// Pen takes the client from the PROXY headers of other programs: for its access list,
// client table, request log, and the header that it sends itself.
func TestHeadersFromPeers(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	p.net.Address(t, "lo", "2001:db8::22/128", "2001:db8::23/128", "2001:db8::66/128")
	ca := p.authority(t, "ca")
	ca.issue(t, "www.test")
	p.haproxy(t, "127.0.1.2:80", strings.ReplaceAll(haproxySenders, "DIR", p.dir))
	p.nginx(t, "127.0.0.1:3005", `server { listen 127.0.1.1:80; location / { return 200 "\n"; } }`,
		"server { listen 127.0.0.1:3005; proxy_bind 127.0.0.6; proxy_pass 127.0.0.1:2001; proxy_protocol on; }")
	p.pen(t, strings.ReplaceAll(accepting, "DIR", p.dir))
	all := senders(ca.file, ca.issue(t, "someone.test"))
	refused := map[string]int{}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) { s.check(t, p) })
		refused[s.service]++
	}
	for service, n := range refused {
		p.await(t, command(service, "status"), fmt.Sprintf("Refused or dropped: denied %d</p>", n))
		if recent := p.ask(command(service, "recent")); strings.Count(recent, "\n") != n {
			t.Errorf("service %q has other clients than %d: %s", service, n, recent)
		}
	}

	t.Run("HAProxy's checks", func(t *testing.T) {
		p.await(t, "service checked recent", `^127\.0\.0\.8 connects (?:[3-9]|\d\d+) sx 0 rx 0\n\n?$`)
		if status := p.ask("service checked status"); strings.Contains(status, "Refused") {
			t.Errorf("some were refused: %s", status)
		}
	})
	t.Run("curl, not expected", func(t *testing.T) {
		out, err := p.run(t, "", "curl", "-sS", "--interface", "127.0.0.30", "--haproxy-protocol", "http://127.0.0.1:2001")
		if !strings.Contains(out, "400 Bad request") {
			t.Errorf("a header of a client that is no proxy: %q, %v, want HAProxy's refusal of it as a request", out, err)
		}
	})
	t.Run("curl, without a header", func(t *testing.T) {
		if out, err := p.run(t, "", "curl", "-sS", "--interface", "127.0.0.5", "http://127.0.0.1:2001"); err == nil {
			t.Errorf("answered %q", out)
		}
		p.await(t, "status", fmt.Sprintf("Refused or dropped: denied %d, proxy header 1</p>", refused[""]))
	})
}

// command returns a control command for a service; "" is the first one.
func command(service, words string) string {
	if service == "" {
		return words
	}
	return "service " + service + " " + words
}

// check sends a request of the client, and one of a client that Pen's access list
// denies.
func (s *sender) check(t *testing.T, p *peers) {
	out, err := p.run(t, "", "curl", append([]string{"-sS", "--interface", s.client, s.url}, s.args...)...)
	if err != nil || !regexp.MustCompile("^"+s.says+"\n$").MatchString(out) {
		t.Errorf("answer %q, %v, want %s", out, err, s.says)
	}
	denied := "127.0.0.66"
	if strings.Contains(s.client, ":") {
		denied = "2001:db8::66"
	}
	if out, err := p.run(t, "", "curl", append([]string{"-sS", "--interface", denied, s.url}, s.args...)...); err == nil {
		t.Errorf("a client that is denied is answered %q", out)
	}
	p.await(t, command(s.service, "recent"), "(?m)^"+s.client+" connects 1 ")
	p.await(t, command(s.service, "explain "+s.client), "(?m)^client "+s.client+": seen .*, 1 connections, remembered at server 0$")
	p.await(t, command(s.service, "status"), "<td>"+s.client+"</td>")
	testenv.Eventually(t, "the request is logged", func() bool {
		return regexp.MustCompile(`(?m)^` + s.client + ` \d+ 127\.0\.1\.2 GET / HTTP/1.1`).MatchString(lab.ReadFile(p.requests))
	})
}

// Pen takes the client from headers of datagrams: in each one, or in the first of a
// flow, both sent by another Pen. It refuses nginx's header, which is one for
// connections.
func TestHeadersOfDatagrams(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	p.unbound(t, "127.0.1.4", `proxy-protocol-port: 53
access-control: 127.0.0.0/8 refuse
access-control: 127.0.0.1/32 allow
access-control: 127.0.0.77/32 allow`)
	p.nginx(t, "127.0.1.1:80", "server { listen 127.0.1.1:80; }",
		"server { listen 127.0.0.1:3006 udp; proxy_bind 127.0.0.6; proxy_pass 127.0.0.1:2004; proxy_protocol on; }")
	var conf strings.Builder
	fmt.Fprintln(&conf, "acl 1 deny 127.0.0.66")
	for _, s := range []string{
		"each-out|127.0.0.1:1001|source 127.0.0.5|send_proxy v2 each|server 0 address 127.0.0.1 port 2001",
		"each-in|127.0.0.1:2001|accept_proxy 127.0.0.5|client_acl 1|send_proxy v2 each|server 0 address 127.0.1.4 port 53",
		"first-out|127.0.0.1:1002|source 127.0.0.5|send_proxy v2|server 0 address 127.0.0.1 port 2002",
		"first-in|127.0.0.1:2002|accept_proxy 127.0.0.5 first|client_acl 1|send_proxy v2 each|server 0 address 127.0.1.4 port 53",
		"nginx|127.0.0.1:2004|accept_proxy 127.0.0.6 first|send_proxy v2 each|server 0 address 127.0.1.4 port 53",
	} {
		f := strings.SplitN(s, "|", 3)
		fmt.Fprintf(&conf, "service %s\nprotocol udp\nlisten %s\n%s\n", f[0], f[1], strings.ReplaceAll(f[2], "|", "\n"))
	}
	p.pen(t, conf.String())
	for i, name := range []string{"each", "first"} {
		t.Run(name, func(t *testing.T) {
			to := fmt.Sprintf("127.0.0.1:100%d", i+1)
			for _, client := range [][2]string{{"127.0.0.77", "NOERROR"}, {"127.0.0.78", "REFUSED"}} {
				from, want := client[0], client[1]
				_, err := p.visit("udp", from, to, func(c net.Conn) (string, error) {
					for n := range 3 {
						if got, err := talkUnbound(c); got != want {
							t.Errorf("%s, datagram %d: %s %v, want %s", from, n, got, err, want)
						}
					}
					return "", nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			p.sendOnly(t, "127.0.0.66", to)
			p.await(t, "service "+name+"-in status", "dropped: denied 1</p>")
			clients := regexp.MustCompile(`(?m)^\S+ connects 1`).FindAllString(p.ask("service "+name+"-in recent"), -1)
			if want := []string{"127.0.0.77 connects 1", "127.0.0.78 connects 1"}; !slices.Equal(clients, want) {
				t.Errorf("clients %q, want %q", clients, want)
			}
		})
	}
	t.Run("nginx", func(t *testing.T) {
		p.sendOnly(t, "127.0.0.77", "127.0.0.1:3006")
		p.await(t, "service nginx status", "dropped: proxy header 1</p>")
	})
}

// sendOnly sends a datagram without waiting for an answer.
func (p *peers) sendOnly(t *testing.T, from, to string) {
	t.Helper()
	_, err := p.visit("udp", from, to, func(c net.Conn) (string, error) {
		return "", (&dnswire.Conn{Conn: c}).WriteMsg(new(dnswire.Msg).SetQuestion("who.test.", dnswire.TypeTXT))
	})
	if err != nil {
		t.Error(err)
	}
}
