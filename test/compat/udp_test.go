package compat_test

import (
	"os/exec"
	"testing"

	"pen/test/internal/lab"
)

// Both programs give the same answers to DNS queries, with the same two real servers.
func TestDifferentialUDP(t *testing.T) {
	rows := lab.Document(t, "docs/differences.md")
	daemons := map[string]*exec.Cmd{}
	var addrs []string
	for kind, name := range map[string]string{"dnsmasq": "a", "unbound": "b"} {
		cmd, addr := lab.DNS(t, kind, name)
		daemons[name] = cmd
		addrs = append(addrs, addr)
	}
	if name, _ := lab.QueryDNS(addrs[0], ""); name != "a" {
		addrs[0], addrs[1] = addrs[1], addrs[0]
	}
	start := func(name, program, penctl string) *twin {
		return startTwinAt(t, name, program, penctl, addrs, []string{"-U", "-O", "epoll"}) // with poll C Pen loses every second client
	}
	c, ours := start("C Pen", cPen, lab.Program(t, "penctl")), start("ours", lab.Program(t, "pen"), cPenctl)
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
			// A weight of 0 takes a server out of rotation in ours; C Pen would still
			// use it.
			ours.do("server 1 weight 1")
			continue
		}
		s.check(t, c.do(s.do), ours.do(s.do), rows)
	}
}
