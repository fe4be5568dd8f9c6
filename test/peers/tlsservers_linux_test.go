package peers_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// Addresses of TLS servers. The first four require a client certificate.
const (
	nginxTLS   = "127.0.2.1"
	haproxyTLS = "127.0.2.2"
	opensslTLS = "127.0.2.3" // TLS 1.2 only
	gnutlsTLS  = "127.0.2.4" // on its default port
	openTLS    = "127.0.2.5" // nginx, requires no certificate
	wrongTLS   = "127.0.2.6" // nginx, for other.test
	strangeTLS = "127.0.2.7" // nginx, for www.test, by an unknown authority
	headTLS    = "127.0.2.8" // nginx, expects a PROXY header before TLS
)

// startTLSServers starts them and returns the file of their authority, and a file with
// a certificate for Pen.
func (p *peers) startTLSServers(t *testing.T) (ca, mine string) {
	t.Helper()
	good, strangers := p.authority(t, "ca"), p.authority(t, "strangers")
	www, other, strange := good.issue(t, "www.test"), good.issue(t, "other.test"), strangers.issue(t, "www.test")
	mine = good.issue(t, "pen.test")
	nginx := func(addr, cert, more string) string {
		return fmt.Sprintf(`server { listen %s ssl; ssl_certificate %s; ssl_certificate_key %s; %s
	location / { return 200 "nginx at $server_addr: $ssl_client_s_dn$proxy_protocol_addr asked $ssl_server_name by $ssl_protocol\n"; } }
`, addr, cert, cert, more)
	}
	p.nginx(t, headTLS+":443", nginx(nginxTLS+":443", www, "ssl_verify_client on; ssl_client_certificate "+good.file+";")+
		nginx(openTLS+":443", www, "")+nginx(wrongTLS+":443", other, "")+nginx(strangeTLS+":443", strange, "")+nginx(headTLS+":443 proxy_protocol", www, ""), "")
	p.haproxy(t, haproxyTLS+":443", fmt.Sprintf(`frontend web
	bind %s:443 ssl crt %s ca-file %s verify required
	http-request return status 200 content-type text/plain lf-string "HAProxy: CN=%%[ssl_c_s_dn(CN)] asked %%[ssl_fc_sni] by %%[ssl_fc_protocol]\n"
`, haproxyTLS, www, good.file))
	p.place.Start(t, opensslTLS+":443", "openssl", "s_server", "-accept", opensslTLS+":443", "-cert", www, "-key", www, "-CAfile", good.file,
		"-Verify", "1", "-verify_return_error", "-tls1_2", "-www", "-quiet")
	p.place.Start(t, gnutlsTLS+":5556", "gnutls-serv", "--http", "-p", "5556", "--x509certfile", www, "--x509keyfile", www,
		"--x509cafile", good.file, "--require-client-cert", "--verify-client-cert")
	return good.file, mine
}

// Pen connects to real servers with TLS: it presents its certificate, and verifies
// theirs by name.
func TestTLSServers(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	ca, mine := p.startTLSServers(t)
	conf := "debug 1\n"
	services := tlsServices(mine)
	for i, s := range services {
		conf += s.config(1000+i, ca)
	}
	p.pen(t, conf)
	for i, s := range services {
		t.Run(s.name, func(t *testing.T) {
			out, err := p.run(t, "", "curl", "-sS", "--interface", "127.0.0.77", fmt.Sprintf("http://127.0.0.1:%d/", 1000+i))
			if !regexp.MustCompile(s.answer).MatchString(out) || (err == nil) != (s.answer != noAnswer) {
				t.Errorf("answer %s, %v, want %s", out, err, s.answer)
			}
			if s.checked {
				p.await(t, "service "+s.name+" state", "check http up")
			}
			for _, failure := range s.failures {
				why := regexp.MustCompile("can't connect to server service=" + s.name + " .*" + failure)
				testenv.Eventually(t, "Pen says "+why.String(), func() bool { return why.MatchString(lab.ReadFile(p.running.Log)) })
			}
		})
	}
}

// A tlsService is a service of Pen with TLS servers.
type tlsService struct {
	name, tls string
	servers   []string
	answer    string
	checked   bool     // health checks pass as well
	failures  []string // failed connects in Pen's log
}

const noAnswer = "curl: \\(.*"

func (s *tlsService) config(port int, ca string) string {
	conf := fmt.Sprintf("service %s\nlisten 127.0.0.1:%d\nroundrobin\ntls on ca %s %s\n", s.name, port, ca, s.tls)
	for slot, server := range s.servers {
		if !strings.Contains(server, "port") {
			server += " port 443"
		}
		conf += fmt.Sprintf("server %d address %s\n", slot, server)
	}
	if s.checked {
		conf += "check http / interval 200ms timeout 20\n"
	}
	return conf
}

func tlsServices(mine string) []tlsService {
	const www, open = "name www.test", "nginx at 127.0.2.5:  asked www.test by TLSv1.2\n"
	named := www + " cert " + mine
	wrong := []string{"certificate is valid for other.test, not www.test", "certificate signed by unknown authority"}
	return []tlsService{
		{"nginx", named, []string{nginxTLS}, "nginx at 127.0.2.1: CN=pen.test asked www.test by TLSv1.2\n", true, nil},
		{"haproxy", named, []string{haproxyTLS}, "HAProxy: CN=pen.test asked www.test by TLSv1.3\n", true, nil},
		{"openssl", named, []string{opensslTLS}, "(?s), TLSv1.2, Cipher is .*Subject: CN ?= ?pen.test\n", true, nil},
		{"gnutls", named, []string{gnutlsTLS + " port 5556"}, "(?s)Server Name: www.test.*>TLS1.3<.*Subject: CN=pen.test\n", true, nil},
		{"header", www + "\nsend_proxy v2", []string{headTLS}, "nginx at 127.0.2.8: 127.0.0.77 asked www.test by TLSv1.2\n", true, nil},
		{"failover", www, []string{wrongTLS, strangeTLS, openTLS}, open, false, wrong},
		{"wrong", www, []string{wrongTLS, strangeTLS}, noAnswer, false, wrong},
		{"noverify", www + " noverify", []string{strangeTLS}, "nginx at 127.0.2.7:  asked www.test by TLSv1.2\n", true, nil},
		// Without a certificate of Pen, TLS 1.2 refuses in the handshake, TLS 1.3 after
		// it, and nginx by its answer to the request.
		{"bare-openssl", www, []string{opensslTLS, openTLS}, open, false, []string{"remote error: tls: handshake failure"}},
		{"bare-haproxy", www, []string{haproxyTLS, openTLS}, noAnswer, false, nil},
		{"bare-nginx", www, []string{nginxTLS, openTLS}, "400 No required SSL certificate was sent", false, nil},
	}
}
