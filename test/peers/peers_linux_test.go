// Package peers_test has Pen work with other programs: TLS, PROXY protocol, routes, and
// health checks. docs/peers.md says what each of these programs does.
package peers_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// Peers are a Pen and other programs in a network namespace of their own, where all
// addresses of loopback and all ports are free.
type peers struct {
	net   *testenv.Netns
	dir   string // of their files, which every user can read
	place lab.Place
	// requests is the file with the requests that Pen logged.
	requests string
	running  *lab.Pen // nil until it is started
}

func newPeers(t *testing.T) *peers {
	t.Helper()
	p := &peers{net: testenv.NewNetns(t)}
	var err error
	// Other users can't read the test's own folder.
	if p.dir, err = os.MkdirTemp("", "pen-peers-"); err == nil {
		err = os.Chmod(p.dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(p.dir) })
	p.place, p.requests = lab.Place{In: p.net.In, Dir: p.dir}, p.file("requests")
	return p
}

func (p *peers) file(name string) string { return filepath.Join(p.dir, name) }

// write writes a file to the folder and returns its path.
func (p *peers) write(t *testing.T, name, text string) string {
	t.Helper()
	lab.WriteFile(t, p.file(name), text)
	return p.file(name)
}

// A signer is an authority that writes certificates to the folder.
type signer struct {
	*testenv.Authority
	peers      *peers
	name, file string // the file has its certificate
}

func (p *peers) authority(t *testing.T, name string) *signer {
	t.Helper()
	s := &signer{testenv.NewAuthority(t, name), p, name, p.file(name + ".pem")}
	s.Write(t, s.file)
	return s
}

// issue writes a certificate for a name, and its key, to a file and returns its path.
func (s *signer) issue(t *testing.T, name string) string {
	t.Helper()
	file := s.peers.file(s.name + "-" + name + ".pem")
	testenv.WritePEM(t, file, s.Issue(t, name))
	return file
}

// pen starts Pen with a configuration and waits until it listens everywhere.
func (p *peers) pen(t *testing.T, conf string) {
	t.Helper()
	p.running = lab.StartPen(t, lab.Setup{Config: "log " + p.requests + "\n" + conf, Args: []string{"127.0.0.1:999"}, Place: p.place})
}

// ask returns the reply to a control command.
func (p *peers) ask(command string) string { return p.running.Ask("%s", command) }

// await waits until the reply to a control command matches a pattern.
func (p *peers) await(t *testing.T, command, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	reply := ""
	defer func() {
		if t.Failed() {
			t.Logf("last reply to %s: %s", command, reply)
		}
	}()
	testenv.Eventually(t, command+" says "+pattern, func() bool {
		reply = p.ask(command)
		return re.MatchString(reply)
	})
}

// visit connects from an address and returns the result of talk.
func (p *peers) visit(network, from, to string, talk func(net.Conn) (string, error)) (answer string, err error) {
	k := lab.Kind{Network: network, Talk: talk}
	err = p.net.In(func() (err error) {
		answer, err = k.Ask(to, from, testenv.Limit)
		return err
	})
	return answer, err
}

// run runs a program and returns its output. Its standard input stays open after the
// text given.
func (p *peers) run(t *testing.T, input, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Limit)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	if _, err := io.WriteString(w, input); err != nil {
		t.Fatal(err)
	}
	var out []byte
	err = p.net.In(func() (err error) {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdin, cmd.Dir = r, p.dir
		out, err = cmd.CombinedOutput()
		return err
	})
	return string(out), err
}

// talkLine reads the line of a server that speaks first.
func talkLine(c net.Conn) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; line = append(line, b[0]) {
		if _, err := io.ReadFull(c, b); err != nil {
			return string(line), err
		}
		if b[0] == '\n' {
			return strings.TrimSpace(string(line)), nil
		}
	}
}

// nginx starts nginx with servers for HTTP and for streams; it listens on addr
// last.
func (p *peers) nginx(t *testing.T, addr, web, stream string) {
	t.Helper()
	conf := p.write(t, "nginx.conf", fmt.Sprintf(`load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid %s/nginx.pid; error_log %s/nginx.log info;
events { worker_connections 1024; }
http { access_log off; %s }
stream { %s }
`, p.dir, p.dir, web, stream))
	p.place.Start(t, addr, "nginx", "-p", p.dir, "-e", p.dir+"/nginx.log", "-c", conf)
}

// haproxy starts HAProxy with proxies, which listen on addr last. It does not retry, or
// it would repeat connections that Pen closes after the PROXY header.
func (p *peers) haproxy(t *testing.T, addr, proxies string) {
	t.Helper()
	conf := p.write(t, "haproxy.conf", `global
	maxconn 100
defaults
	mode http
	timeout connect 30s
	timeout client 30s
	timeout server 30s
	retries 0
`+proxies)
	p.place.Start(t, addr, "haproxy", "-db", "-f", conf)
}

// postfix starts Postfix's master with one SMTP server. It uses a folder of its own,
// and no file of the system's Postfix.
func (p *peers) postfix(t *testing.T, addr, settings string) {
	t.Helper()
	u, err := user.Lookup("postfix")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := strconv.Atoi(u.Uid)
	dir := p.file("postfix")
	for _, sub := range []string{"", "data", "queue", "queue/pid", "queue/private", "queue/public"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, sub := range []string{"data", "queue/private", "queue/public"} {
		if err := os.Chown(filepath.Join(dir, sub), id, -1); err != nil {
			t.Fatal(err)
		}
	}
	p.write(t, "postfix/main.cf", fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %s/queue
data_directory = %s/data
maillog_file = %s/log
maillog_file_prefixes = %s
myhostname = mail.test
mydestination =
local_recipient_maps =
alias_maps =
inet_protocols = all
smtpd_peername_lookup = no
%s`, dir, dir, dir, dir, settings))
	p.write(t, "postfix/master.cf", addr+` inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
rewrite unix - - n - - trivial-rewrite
tlsmgr unix - - n - 1 tlsmgr
`)
	p.place.Start(t, addr, "/usr/lib/postfix/sbin/master", "-d", "-c", dir)
}
