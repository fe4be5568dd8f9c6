package pen_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"pen/internal/testenv"

	"github.com/rogpeppe/go-internal/testscript"
)

// dnsServer starts a real DNS server, dnsmasq or unbound, that answers TXT
// queries for who.test with its name, and waits until it does. It uses a folder
// and a free port of its own.
func dnsServer(kind, name, dir string) (cmd *exec.Cmd, addr string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, "", err
	}
	addr, err = testenv.UnusedAddr()
	if err != nil {
		return nil, "", err
	}
	_, port, _ := net.SplitHostPort(addr)
	switch kind {
	case "dnsmasq":
		cmd = exec.Command("dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", "--pid-file=", "--user=root",
			"--port="+port, "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--txt-record=who.test,"+name)
	case "unbound":
		conf := filepath.Join(dir, "unbound.conf")
		if err := os.WriteFile(conf, fmt.Appendf(nil, `server:
	interface: 127.0.0.1@%s
	do-daemonize: no
	use-syslog: no
	logfile: "%s/log"
	pidfile: ""
	chroot: ""
	username: ""
	directory: "%s"
	local-zone: "test." static
	local-data: 'who.test. 0 IN TXT "%s"'
`, port, dir, dir, name), 0o644); err != nil {
			return nil, "", err
		}
		cmd = exec.Command("unbound", "-d", "-c", conf)
	default:
		return nil, "", fmt.Errorf("a DNS server %q: want dnsmasq or unbound", kind)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		got, err := askDNS(addr, "")
		if err == nil && got == name {
			return cmd, addr, nil
		}
		if time.Now().After(end) {
			cmd.Process.Kill()
			cmd.Wait()
			return nil, "", fmt.Errorf("%s at %s does not answer: %q %w", kind, addr, got, err)
		}
	}
}

// askDNS returns the TXT record of who.test, as asked from an address of ours.
func askDNS(server, from string) (string, error) {
	d := net.Dialer{}
	if from != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(from)}
	}
	r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "udp", server)
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	txt, err := r.LookupTXT(ctx, "who.test.")
	if err != nil || len(txt) != 1 {
		return "", err
	}
	return txt[0], nil
}

// dns KIND NAME starts a real DNS server: see dnsServer. killserver ends it.
func dns(ts *testscript.TestScript, _ bool, args []string) {
	cmd, addr, err := dnsServer(args[0], args[1], ts.MkAbs("dns-"+args[1]))
	ts.Check(err)
	worldOf(ts).daemons[args[1]] = cmd
	setAddr(ts, args[1], addr)
}

var (
	lostQueries = regexp.MustCompile(`Queries lost: +(\d+)`)
	sentQueries = regexp.MustCompile(`Queries sent: +(\d+)`)
)

// dnsperf begins queries from n sockets, one outstanding for each, at a rate,
// for some seconds. The function that it returns waits for the end.
func dnsperf(t *testing.T, at string, n, rate, seconds int) func() (sent, lost int) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "queries")
	if err := os.WriteFile(data, []byte("who.test TXT\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(at)
	var out bytes.Buffer
	cmd := exec.Command("dnsperf", "-s", host, "-p", port, "-d", data, "-c", strconv.Itoa(n), "-q", strconv.Itoa(n),
		"-Q", strconv.Itoa(rate), "-l", strconv.Itoa(seconds), "-t", "1")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (sent, lost int) {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("dnsperf: %v\n%s", err, out.String())
		}
		count := func(what *regexp.Regexp) (n int) {
			m := what.FindSubmatch(out.Bytes())
			if m == nil {
				t.Fatalf("dnsperf does not say %v:\n%s", what, out.String())
			}
			n, _ = strconv.Atoi(string(m[1]))
			return n
		}
		return count(sentQueries), count(lostQueries)
	}
}

// One of two DNS servers is killed under load: no more is lost than what it had
// in hand, one query for each flow at most, and nothing afterwards.
func TestDNSServerKilled(t *testing.T) {
	for _, sticky := range []bool{true, false} {
		t.Run(fmt.Sprintf("sticky=%v", sticky), func(t *testing.T) {
			const flows = 20
			a, addrA, err := dnsServer("unbound", "a", filepath.Join(t.TempDir(), "a"))
			if err != nil {
				t.Fatal(err)
			}
			b, addrB, err := dnsServer("dnsmasq", "b", filepath.Join(t.TempDir(), "b"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				a.Process.Kill()
				b.Process.Kill()
				b.Wait()
			})
			args := []string{"-U", "-b", "600"}
			if !sticky {
				args = append(args, "-r")
			}
			tw := startTwinAt(t, "ours", filepath.Join(programs, "pen"), cPenctl, []string{addrA, addrB}, args)
			end := dnsperf(t, tw.listen, flows, 2000, 4)
			underWay := regexp.MustCompile(`^0 .* sx [1-9]\d{3,} `)
			for deadline := time.Now().Add(patience); !underWay.MatchString(tw.do("servers")); time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("no load: %s", tw.do("servers"))
				}
			}
			if err := a.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			a.Wait()
			sent, lost := end()
			t.Logf("%d queries sent, %d lost, over %d flows", sent, lost, flows)
			if lost > flows || sent < 4000 {
				t.Errorf("%d of %d queries lost, want one for each of %d flows at most", lost, sent, flows)
			}
			if sent, lost := dnsperf(t, tw.listen, flows, 2000, 1)(); lost > 0 {
				t.Errorf("afterwards %d of %d queries were lost", lost, sent)
			}
		})
	}
}

// The same queries through C Pen and through ours, to the same two real
// servers.
func TestDifferentialUDP(t *testing.T) {
	rows := readFile("docs/differences.md")
	daemons := map[string]*exec.Cmd{}
	var addrs []string
	for kind, name := range map[string]string{"dnsmasq": "a", "unbound": "b"} {
		cmd, addr, err := dnsServer(kind, name, filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		daemons[name] = cmd
		addrs = append(addrs, addr)
	}
	if name, _ := askDNS(addrs[0], ""); name != "a" {
		addrs[0], addrs[1] = addrs[1], addrs[0]
	}
	start := func(name, program, penctl string) *twin {
		return startTwinAt(t, name, program, penctl, addrs, []string{"-U", "-O", "epoll"}) // with poll C Pen loses every second client
	}
	c, ours := start("C Pen", cPen, filepath.Join(programs, "penctl")), start("ours", filepath.Join(programs, "pen"), cPenctl)
	for _, s := range []step{
		{"dig 2", "round-robin-start", "b", "a"},
		{"dig 3", "round-robin-start", "a", "b"},
		{"no roundrobin", "", "", ""},
		{"hash", "", "", ""},
		{"dig 4", "", "", ""}, // slots by address
		{"dig 5", "", "", ""},
		{"dig 4", "", "", ""},
		{"mode", "", "", ""},
		{"idle_timeout", "", "", ""},
		{"acl 1 deny 127.0.0.9", "", "", ""},
		{"client_acl 1", "", "", ""},
		{"dig 9", "", "", ""},
		{"dig 8", "", "", ""},
		{"server 0 blacklist 600", "", "", ""},
		{"dig 10", "", "", ""},
		{"dig 8", "", "", ""},
		{"server 0 blacklist 0", "", "", ""},
		{"no hash", "", "", ""},
		{"weight", "", "", ""},
		{"server 0 weight 1", "", "", ""},
		{"server 1 weight 0", "", "", ""},
		{"dig 11", "", "", ""},
		{"dig 12", "", "", ""},
		{"kill a", "", "", ""},
		{"dig 11", "udp-failure", "no answer", "b"},
		{"dig 11", "udp-failure", "no answer", "b"},
	} {
		if s.do == "kill a" {
			daemons["a"].Process.Kill()
			daemons["a"].Wait()
			// C Pen weighs; ours would as well, and 0 says no.
			ours.do("server 1 weight 1")
			continue
		}
		s.check(t, c.do(s.do), ours.do(s.do), rows)
	}
}
