package peers_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// startRouted starts TLS servers, each for other names, and returns the file of their
// authority.
func (p *peers) startRouted(t *testing.T) string {
	t.Helper()
	ca := p.authority(t, "ca")
	www, shop, raw, any := ca.issue(t, "www.test"), ca.issue(t, "a.shop.test"), ca.issue(t, "raw.test"), ca.issue(t, "any.test")
	p.nginx(t, "127.0.2.4:443", fmt.Sprintf(`server { listen 127.0.2.1:443 ssl http2; ssl_certificate %s; ssl_certificate_key %s;
	location / { return 200 "nginx: $ssl_server_name by $server_protocol\n"; } }
server { listen 127.0.2.4:443 ssl; ssl_certificate %s; ssl_certificate_key %s; location / { return 200 "default: $ssl_server_name\n"; } }
`, www, www, any, any), "")
	p.haproxy(t, "127.0.2.2:443", fmt.Sprintf(`frontend web
	bind 127.0.2.2:443 accept-proxy ssl crt %s crt %s alpn http/1.1
	http-request return status 200 content-type text/plain lf-string "HAProxy: %%[ssl_fc_sni] by %%[ssl_fc_alpn] from %%[src] of %%[fc_pp_authority]\n"
`, shop, www))
	p.place.Start(t, "127.0.2.3:443", "openssl", "s_server", "-accept", "127.0.2.3:443", "-cert", raw, "-key", raw, "-alpn", "imap", "-www", "-quiet")
	return ca.file
}

const routing = `listen 127.0.0.1:443
route sni www.test nginx
route sni *.shop.test haproxy
route sni raw.test openssl
route default other
service alpn
listen 127.0.0.1:444
route alpn h2 nginx
route alpn http/1.1 haproxy
route alpn imap openssl
service proxied
listen 127.0.0.1:445
accept_proxy 127.0.0.5
route sni a.shop.test haproxy
service relay
listen 127.0.0.1:446
source 127.0.0.5
server 0 address 127.0.0.1 port 445
service nginx
server 0 address 127.0.2.1 port 443
service haproxy
send_proxy v2 tlvs authority
server 0 address 127.0.2.2 port 443
service openssl
server 0 address 127.0.2.3 port 443
service other
server 0 address 127.0.2.4 port 443
`

// Pen routes connections by the name or protocol in the ClientHello. The servers
// terminate TLS.
func TestRoutesToPeers(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	ca := p.startRouted(t)
	p.pen(t, routing)
	for _, tt := range []struct {
		name, port string
		args       []string
		want       string
	}{
		{"www.test", "443", nil, "^nginx: www.test by HTTP/2.0\n$"},
		{"www.test", "443", []string{"--http1.1"}, "^nginx: www.test by HTTP/1.1\n$"},
		{"a.shop.test", "443", nil, "^HAProxy: a.shop.test by http/1.1 from 127.0.0.77 of a.shop.test\n$"},
		{"raw.test", "443", []string{"--no-alpn"}, "s_server -accept 127.0.2.3:443 "},
		{"a.shop.test", "446", []string{"--haproxy-protocol"}, "^HAProxy: a.shop.test by http/1.1 from 127.0.0.77 of a.shop.test\n$"},
		{"any.test", "443", nil, "^default: any.test\n$"},
		{"www.test", "444", nil, "^nginx: www.test by HTTP/2.0\n$"},
		{"www.test", "444", []string{"--http1.1"}, "^HAProxy: www.test by http/1.1 from 127.0.0.77 of www.test\n$"},
		{"raw.test", "444", []string{"--no-alpn"}, "^curl: "}, // there is no route
	} {
		url := fmt.Sprintf("https://%s:%s", tt.name, tt.port)
		args := append([]string{"-sS", "--interface", "127.0.0.77", "--cacert", ca, "--resolve", fmt.Sprintf("%s:%s:127.0.0.1", tt.name, tt.port), url}, tt.args...)
		out, err := p.run(t, "", "curl", args...)
		if !regexp.MustCompile(tt.want).MatchString(out) {
			t.Errorf("%s %q: %v, %s, want %s", url, tt.args, err, out, tt.want)
		}
	}
	for _, c := range tlsClients[1:] {
		out, err := p.run(t, getPage, c.name, c.args(tlsRequest{"raw.test", "444", "1.3", "", "imap"}, ca)...)
		if !regexp.MustCompile(`(?i)(ALPN|application) protocol: imap`).MatchString(out) || !strings.Contains(out, "s_server -accept 127.0.2.3:443 ") {
			t.Errorf("%s with imap: %v, %s", c.name, err, out)
		}
	}
}

// Protocols that start TLS later pass unchanged: PostgreSQL, also by the default route,
// and SMTP, where the server speaks first.
func TestStartTLSToPeers(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	ca := p.authority(t, "ca")
	www := ca.issue(t, "www.test")
	pg := p.postgres(t, "127.0.1.5", www)
	p.postfix(t, "127.0.1.3:25", fmt.Sprintf("smtpd_tls_security_level = may\nsmtpd_tls_chain_files = %s\n", keyFirst(t, p, www)))
	p.pen(t, `listen 127.0.0.1:5432
server 0 address 127.0.1.5 port 5432
service routed
listen 127.0.0.1:5433
route sni www.test mail
route default base
service base
server 0 address 127.0.1.5 port 5432
service mail
listen 127.0.0.1:25
server 0 address 127.0.1.3 port 25
`)
	for _, port := range []string{"5432", "5433"} {
		if got, err := p.visit("tcp", "127.0.0.77", "127.0.0.1:"+port, lab.TalkPostgres); got != "127.0.1.5" {
			t.Errorf("PostgreSQL without TLS by port %s: %q, %v", port, got, err)
		}
		out, err := p.run(t, "", filepath.Join(pg.Bin, "psql"), "-XAtq", "-c", "select version from pg_stat_ssl where pid = pg_backend_pid()",
			"host=www.test hostaddr=127.0.0.1 port="+port+" user=postgres dbname=postgres sslmode=verify-full sslrootcert="+ca.file)
		if err != nil || out != "TLSv1.3\n" {
			t.Errorf("psql by port %s: %q, %v", port, out, err)
		}
	}
	if got, err := p.visit("tcp", "127.0.0.77", "127.0.0.1:25", talkLine); got != "220 mail.test ESMTP Postfix" {
		t.Errorf("Postfix says %q, %v", got, err)
	}
	for _, c := range [][]string{
		{"openssl", "s_client", "-connect", "127.0.0.1:25", "-starttls", "smtp", "-verify_hostname", "www.test", "-verify_return_error", "-CAfile", ca.file, "-ign_eof"},
		{"gnutls-cli", "-p", "25", "--starttls-proto", "smtp", "--verify-hostname", "www.test", "--x509cafile", ca.file, "127.0.0.1"},
	} {
		out, err := p.run(t, "NOOP\r\nQUIT\r\n", c[0], c[1:]...)
		if err != nil || !strings.Contains(out, "221 2.0.0 Bye") {
			t.Errorf("%s: %v, %s", c[0], err, out)
		}
	}
}

// keyFirst writes a certificate and its key in the order that Postfix wants.
func keyFirst(t *testing.T, p *peers, file string) string {
	t.Helper()
	cert, key, _ := strings.Cut(lab.ReadFile(file), "-----BEGIN PRIVATE KEY")
	return p.write(t, "keyfirst.pem", "-----BEGIN PRIVATE KEY"+key+cert)
}

// postgres starts PostgreSQL, with TLS.
func (p *peers) postgres(t *testing.T, addr, cert string) *lab.Postgres {
	t.Helper()
	pg := lab.NewPostgres(t, p.place, addr)
	pg.WriteFile(t, addr, "server.crt", lab.ReadFile(cert))
	pg.WriteFile(t, addr, "server.key", lab.ReadFile(cert))
	psql := filepath.Join(pg.Bin, "psql")
	pg.Run(t, "psql", "-Xq", "-h", addr, "-U", "postgres", "-c", "alter system set ssl = on", "-c", "select pg_reload_conf()")
	testenv.Eventually(t, "PostgreSQL has TLS", func() bool {
		out, err := p.run(t, "", psql, "-XAtq", "-h", addr, "-U", "postgres", "-c", "show ssl")
		return err == nil && out == "on\n"
	})
	return pg
}
