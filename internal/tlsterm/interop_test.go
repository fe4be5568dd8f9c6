package tlsterm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
)

// peers is what programs of others need for TLS with us: a server of ours that
// requires certificates and knows a protocol, and files for both sides.
type peers struct {
	ca     *testenv.Authority
	addr   string
	caFile string
	mine   Pair // of a client
	theirs Pair // of a server named a.example
}

func newPeers(t *testing.T) *peers {
	t.Helper()
	ca, dir := testenv.NewAuthority(t, "ca"), t.TempDir()
	p := &peers{ca: ca, caFile: write(t, dir, "ca.pem", ca.PEM())}
	p.mine, p.theirs = writePair(t, dir, "mine", ca.Issue(t, "mine")), writePair(t, dir, "theirs", ca.Issue(t, "a.example"))
	p.addr = serve(t, newServer(t, ServerConfig{Certificates: []Pair{p.theirs}, CAFile: p.caFile, RequireClient: true, ALPN: []string{"h2", "other"}}))
	return p
}

// run returns what a program says that is to end of itself, and whether it was
// content.
func run(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s has not ended: %s", name, out)
	}
	return string(out), err
}

// says fails the test if something is not in what a program has said.
func says(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(out, w) {
			t.Errorf("%q is not in what it says:\n%s", w, out)
		}
	}
}

func TestOpenSSLClient(t *testing.T) {
	p := newPeers(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			session := filepath.Join(t.TempDir(), "session")
			base := []string{
				"s_client", "-connect", p.addr, "-servername", "a.example", "-verify_hostname", "a.example", "-verify_return_error",
				"-CAfile", p.caFile, "-alpn", "h2", "-ign_eof", "-tls" + strings.Replace(v.name, ".", "_", 1),
			}
			mine := append(base, "-cert", p.mine.Cert, "-key", p.mine.Key)
			out, err := run(t, "openssl", append(mine, "-sess_out", session)...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			says(t, out, hello, "New, TLSv"+v.name, "ALPN protocol: h2", "Verification: OK")
			out, _ = run(t, "openssl", append(mine, "-sess_in", session)...)
			says(t, out, hello, "Reused, TLSv"+v.name)
			if out, _ := run(t, "openssl", base...); strings.Contains(out, hello) || !strings.Contains(out, "alert") {
				t.Errorf("without a certificate: %s", out)
			}
		})
	}
	for _, old := range []string{"-tls1", "-tls1_1"} {
		if out, err := run(t, "openssl", "s_client", "-connect", p.addr, old, "-cipher", "ALL:@SECLEVEL=0"); err == nil || !strings.Contains(out, "alert protocol version") {
			t.Errorf("%s: %v, %s", old, err, out)
		}
	}
}

func TestGnuTLSClient(t *testing.T) {
	p := newPeers(t)
	_, port, err := net.SplitHostPort(p.addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			base := []string{
				"--port", port, "--sni-hostname", "a.example", "--verify-hostname", "a.example", "--x509cafile", p.caFile, "--alpn", "h2",
				"--priority", "NORMAL:-VERS-ALL:+VERS-TLS" + v.name,
			}
			mine := append(base, "--x509certfile", p.mine.Cert, "--x509keyfile", p.mine.Key)
			out, err := run(t, "gnutls-cli", append(mine, "127.0.0.1")...)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			says(t, out, hello, "(TLS"+v.name+"-", "Application protocol: h2", "The certificate is trusted")
			out, _ = run(t, "gnutls-cli", append(mine, "--resume", "--waitresumption", "127.0.0.1")...)
			says(t, out, "This is a resumed session")
			if out, _ := run(t, "gnutls-cli", append(base, "127.0.0.1")...); strings.Contains(out, hello) || !strings.Contains(out, "alert") {
				t.Errorf("without a certificate: %s", out)
			}
		})
	}
}

// A client may not begin anew within a connection: that would cost us far more
// than it.
func TestRenegotiation(t *testing.T) {
	ca := testenv.NewAuthority(t, "ca")
	s := newServer(t, ServerConfig{Certificates: []Pair{writePair(t, t.TempDir(), "a", ca.Issue(t, "a.example"))}})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			ended <- err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(testenv.Limit))
		conn, err := s.Handshake(t.Context(), c, Peer{})
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		ended <- err
	}()
	cmd := exec.CommandContext(t.Context(), "openssl", "s_client", "-connect", ln.Addr().String(), "-tls1_2")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	if _, err := io.WriteString(stdin, "R\n"); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("OpenSSL is content")
	}
	says(t, string(out), "RENEGOTIATING", "alert")
	if err := <-ended; err == nil || err == io.EOF {
		t.Errorf("to the server this is %v, want an error", err)
	}
	ln.Close()
}

// background runs a server until the end of the test, and returns the port that
// it says, by a pattern, it listens at.
func background(t *testing.T, listens *regexp.Regexp, name string, args ...string) (port string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	stdin, err := cmd.StdinPipe() // some end when there is nothing to be read
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var rest sync.WaitGroup
	t.Cleanup(func() {
		cmd.Process.Kill()
		stdin.Close()
		cmd.Wait()
		r.Close()
		rest.Wait()
	})
	r.SetReadDeadline(time.Now().Add(testenv.Limit))
	var said bytes.Buffer
	for lines := bufio.NewScanner(r); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if m := listens.FindStringSubmatch(lines.Text()); m != nil {
			r.SetReadDeadline(time.Time{})
			rest.Go(func() { io.Copy(io.Discard, r) })
			return m[1]
		}
	}
	t.Fatalf("%s does not listen: %s", name, &said)
	return ""
}

// talk has our client send a line to a server, and returns the answer.
func talk(t *testing.T, c *Client, port, line string) (string, tls.ConnectionState, error) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(testenv.Limit))
	secured, err := c.Handshake(t.Context(), conn, "a.example")
	if err != nil {
		return "", tls.ConnectionState{}, err
	}
	if _, err := io.WriteString(secured, line+"\n"); err != nil {
		return "", tls.ConnectionState{}, err
	}
	answer, err := bufio.NewReader(secured).ReadString('\n')
	return strings.TrimSpace(answer), secured.ConnectionState(), err
}

// accepts looks at how our client gets along with a server that requires a
// certificate, speaks one version of TLS and answers "abc" with answer.
func (p *peers) accepts(t *testing.T, port, answer string, version uint16) {
	t.Helper()
	cfg := ClientConfig{CA: p.caFile, Cert: p.mine.Cert, Key: p.mine.Key, ALPN: []string{"h2"}}
	c := newClient(t, cfg)
	for _, resumed := range []bool{false, true} {
		got, state, err := talk(t, c, port, "abc")
		if err != nil || got != answer || state.Version != version || state.NegotiatedProtocol != "h2" || state.DidResume != resumed {
			t.Errorf("%v, answer %q, TLS %x, %q, resumed: %v, want %v", err, got, state.Version, state.NegotiatedProtocol, state.DidResume, resumed)
		}
	}
	cfg.Cert, cfg.Key = "", ""
	if got, _, err := talk(t, newClient(t, cfg), port, "abc"); err == nil {
		t.Errorf("without a certificate the answer is %q", got)
	}
	cfg.Name = "b.example"
	if _, _, err := talk(t, newClient(t, cfg), port, "abc"); err == nil || !strings.Contains(err.Error(), "not b.example") {
		t.Errorf("for another name: %v", err)
	}
}

func TestOpenSSLServer(t *testing.T) {
	p := newPeers(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			port := background(t, regexp.MustCompile(`^ACCEPT .*:(\d+)$`), "openssl",
				"s_server", "-accept", "127.0.0.1:0", "-cert", p.theirs.Cert, "-key", p.theirs.Key, "-CAfile", p.caFile, "-Verify", "1",
				"-verify_return_error", "-alpn", "h2", "-rev", "-tls"+strings.Replace(v.name, ".", "_", 1))
			p.accepts(t, port, "cba", v.version)
		})
	}
}

func TestGnuTLSServer(t *testing.T) {
	p := newPeers(t)
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			_, port, err := net.SplitHostPort(testenv.Unused(t)) // it does not tell a port that the kernel has chosen
			if err != nil {
				t.Fatal(err)
			}
			background(t, regexp.MustCompile(`listening on IPv4 .*(done)`), "gnutls-serv",
				"--port", port, "--x509certfile", p.theirs.Cert, "--x509keyfile", p.theirs.Key, "--x509cafile", p.caFile,
				"--require-client-cert", "--verify-client-cert", "--alpn", "h2", "--echo", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS"+v.name)
			p.accepts(t, port, "abc", v.version)
		})
	}
}
