package peers_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// A tlsRequest is a request for a page over TLS.
type tlsRequest struct {
	name    string // of the certificate
	port    string
	version string // of TLS: 1.2 or 1.3
	cert    string // file with the client's certificate, if any
	alpn    string // protocol to offer
}

// A tlsClient is a program that makes such requests.
type tlsClient struct {
	name     string
	args     func(a tlsRequest, ca string) []string
	version  string            // its output before the negotiated version
	protocol map[string]string // its output about the negotiated protocol, by the protocol that it offers
	wrong    string            // its output about a certificate with a wrong name
}

const getPage = "GET / HTTP/1.0\r\n\r\n"

var tlsClients = []tlsClient{
	{"curl", func(a tlsRequest, ca string) []string {
		args := []string{
			"-sSv", "--cacert", ca, "--resolve", a.name + ":" + a.port + ":127.0.0.1", "https://" + a.name + ":" + a.port,
			"--tlsv" + a.version, "--tls-max", a.version,
		}
		if a.cert != "" {
			args = append(args, "--cert", a.cert)
		}
		if a.alpn == "" {
			args = append(args, "--no-alpn")
		}
		return args
	}, "SSL connection using TLSv", map[string]string{"http/1.1": "ALPN: server accepted http/1.1"}, "no alternative certificate subject name matches target host name"},
	{"openssl", func(a tlsRequest, ca string) []string {
		args := []string{
			"s_client", "-connect", "127.0.0.1:" + a.port, "-servername", a.name, "-verify_hostname", a.name, "-verify_return_error", "-CAfile", ca,
			"-ign_eof", "-tls" + strings.ReplaceAll(a.version, ".", "_"),
		}
		if a.cert != "" {
			args = append(args, "-cert", a.cert, "-key", a.cert)
		}
		if a.alpn != "" {
			args = append(args, "-alpn", a.alpn)
		}
		return args
	}, "New, TLSv", map[string]string{"http/1.1": "ALPN protocol: http/1.1", "": "No ALPN negotiated"}, "hostname mismatch"},
	{"gnutls-cli", func(a tlsRequest, ca string) []string {
		args := []string{
			"-p", a.port, "--sni-hostname", a.name, "--verify-hostname", a.name, "--x509cafile", ca,
			"--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + a.version,
		}
		if a.cert != "" {
			args = append(args, "--x509certfile", a.cert, "--x509keyfile", a.cert)
		}
		if a.alpn != "" {
			args = append(args, "--alpn", a.alpn)
		}
		return append(args, "127.0.0.1")
	}, "Description: (TLS", map[string]string{"http/1.1": "Application protocol: http/1.1"}, "The name in the certificate does not match the expected"},
}

// Real TLS clients connect to Pen, or are refused.
func TestTLSClients(t *testing.T) {
	t.Parallel()
	p := newPeers(t)
	ca, clients, strangers := p.authority(t, "ca"), p.authority(t, "clients"), p.authority(t, "strangers")
	www, shop := ca.issue(t, "www.test"), ca.issue(t, "shop.test")
	mine, strange := clients.issue(t, "someone.test"), strangers.issue(t, "stranger.test")
	p.nginx(t, "127.0.1.1:80", `server { listen 127.0.1.1:80; location / { return 200 "page for $http_x_forwarded_for by $http_x_forwarded_proto\n"; } }`, "")
	service := func(name, port string, lines ...string) string {
		return strings.Join(append([]string{
			"service " + name, "listen 127.0.0.1:" + port, "http", "server 0 address 127.0.1.1 port 80",
			"ssl " + www, "ssl_certificate " + shop,
		}, lines...), "\n") + "\n"
	}
	p.pen(t, "debug 1\n"+service("optional", "1001", "ssl_ca_file "+clients.file, "ssl_alpn http/1.1")+
		service("required", "1002", "ssl_ca_file "+clients.file, "ssl_require_client")+
		service("newest", "1003", "ssl_protocol tls1.3")+
		service("mail", "1004", "ssl_alpn imap"))
	answered := []tlsRequest{
		{"www.test", "1001", "1.2", "", "http/1.1"},
		{"www.test", "1001", "1.3", "", "http/1.1"},
		{"shop.test", "1001", "1.2", mine, ""},
		{"shop.test", "1001", "1.3", mine, "http/1.1"},
		{"www.test", "1002", "1.2", mine, ""},
		{"www.test", "1002", "1.3", mine, ""},
		{"www.test", "1003", "1.3", "", ""},
		{"www.test", "1004", "1.3", "", ""},
	}
	refused := []refusal{
		{tlsRequest{"other.test", "1001", "1.3", "", ""}, ""}, // gets the certificate of www.test
		{tlsRequest{"www.test", "1001", "1.2", strange, ""}, "certificate signed by unknown authority"},
		{tlsRequest{"www.test", "1001", "1.3", strange, ""}, "certificate signed by unknown authority"},
		{tlsRequest{"www.test", "1002", "1.2", "", ""}, "client didn't provide a certificate"},
		{tlsRequest{"www.test", "1002", "1.3", "", ""}, "client didn't provide a certificate"},
		{tlsRequest{"www.test", "1003", "1.2", "", ""}, "client offered only unsupported versions"},
		{tlsRequest{"www.test", "1004", "1.3", "", "http/1.1"}, "client requested unsupported application protocols"},
	}
	for _, c := range tlsClients {
		t.Run(c.name, func(t *testing.T) {
			for _, a := range answered {
				out, err := p.run(t, getPage, c.name, c.args(a, ca.file)...)
				for _, want := range []string{c.version + a.version, c.protocol[a.alpn], "page for 127.0.0.1 by https"} {
					if err != nil || !strings.Contains(out, want) {
						t.Errorf("%+v: %v, want %q in %s", a, err, want, out)
					}
				}
			}
			for _, r := range refused {
				r.check(t, p, c, ca.file)
			}
		})
	}
}

// A refusal is a request that is refused.
type refusal struct {
	tlsRequest
	reason string // in Pen's log; "" if the client refuses Pen's certificate
}

func (r refusal) check(t *testing.T, p *peers, c tlsClient, ca string) {
	t.Helper()
	before := len(lab.ReadFile(p.running.Log))
	out, err := p.run(t, getPage, c.name, c.args(r.tlsRequest, ca)...)
	if err == nil || strings.Contains(out, "page for") || r.reason == "" && !strings.Contains(out, c.wrong) {
		t.Errorf("%+v: %v: %s", r.tlsRequest, err, out)
	}
	if r.reason == "" {
		return
	}
	why := regexp.MustCompile(`no TLS with client .*(` + r.reason + ")")
	testenv.Eventually(t, fmt.Sprintf("Pen refuses %+v: %s", r.tlsRequest, r.reason), func() bool { return why.MatchString(lab.ReadFile(p.running.Log)[before:]) })
}
