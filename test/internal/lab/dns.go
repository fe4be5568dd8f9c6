package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"pen/internal/testenv"
)

// StartDNS starts a real DNS server, dnsmasq or unbound, that answers TXT queries for
// who.test with its name, and waits until it answers. It uses a folder and a free port
// of its own. The caller kills it.
func StartDNS(kind, name, dir string) (cmd *exec.Cmd, addr string, err error) {
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
		if err := os.WriteFile(conf, []byte(UnboundConfig("127.0.0.1@"+port, dir, name, "")), 0o644); err != nil {
			return nil, "", err
		}
		cmd = exec.Command("unbound", "-d", "-c", conf)
	default:
		return nil, "", fmt.Errorf("a DNS server %q: want dnsmasq or unbound", kind)
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	var got string
	if testenv.Within(testenv.Limit, func() bool {
		got, err = QueryDNS(addr, "")
		return err == nil && got == name
	}) {
		return cmd, addr, nil
	}
	cmd.Process.Kill()
	cmd.Wait()
	return nil, "", fmt.Errorf("%s at %s does not answer: %q %w", kind, addr, got, err)
}

// DNS is [StartDNS] for a server that stops with the test at the latest.
func DNS(t testing.TB, kind, name string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	cmd, addr, err := StartDNS(kind, name, filepath.Join(t.TempDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, addr
}

// UnboundConfig returns a configuration of unbound, which answers TXT queries for
// who.test with a name. more are further lines of its section server.
func UnboundConfig(listen, dir, name, more string) string {
	return fmt.Sprintf(`server:
	interface: %s
	do-daemonize: no
	use-syslog: no
	logfile: "%[2]s/unbound.log"
	pidfile: ""
	chroot: ""
	username: ""
	directory: "%[2]s"
	local-zone: "test." static
	local-data: 'who.test. 0 IN TXT "%[3]s"'
	%[4]s
remote-control:
	control-enable: no
`, listen, dir, name, more)
}

// QueryDNS returns the TXT record of who.test. from is the client's address; "" is any.
func QueryDNS(server, from string) (string, error) {
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
