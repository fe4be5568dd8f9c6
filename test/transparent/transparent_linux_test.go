// Package transparent_test builds the network of docs/transparent.md, and tests that
// servers see the addresses of clients.
package transparent_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// The machines of docs/transparent.md, and another client.
const (
	client4, client6   = "192.0.2.10", "2001:db8:1::10"
	another4, another6 = "192.0.2.20", "2001:db8:1::20"
	outside4, outside6 = "192.0.2.1", "2001:db8:1::1"
	inside4, inside6   = "198.51.100.1", "2001:db8:2::1"
	server4, server6   = "198.51.100.11", "2001:db8:2::11"
	second4, second6   = "198.51.100.12", "2001:db8:2::12"
)

// A wiring is the picture of docs/transparent.md: each machine is a network
// namespace.
type wiring struct {
	clients, pen, servers *testenv.Netns

	rules, command, routes, checks string // what the document says
}

// newWiring makes the machines, without the rules on Pen's.
func newWiring(t *testing.T) *wiring {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(lab.Document(t, "docs/transparent.md"), -1)
	if len(blocks) != 4 {
		t.Fatalf("docs/transparent.md has %d blocks of commands, want 4: rules, Pen, routes, checks", len(blocks))
	}
	w := &wiring{
		clients: testenv.NewNetns(t), pen: testenv.NewNetns(t), servers: testenv.NewNetns(t),
		rules: blocks[0][1], command: blocks[1][1], routes: blocks[2][1], checks: blocks[3][1],
	}
	w.clients.Link(t, "net", w.pen, "outside")
	w.servers.Link(t, "net", w.pen, "inside")
	w.clients.Address(t, "net", client4+"/24", another4+"/24", client6+"/64", another6+"/64")
	w.pen.Address(t, "outside", outside4+"/24", outside6+"/64")
	w.pen.Address(t, "inside", inside4+"/24", inside6+"/64")
	w.servers.Address(t, "net", server4+"/24", second4+"/24", server6+"/64", second6+"/64")
	w.servers.Run(t, "sh", "-ec", w.routes)
	return w
}

// serve starts a server that answers each connection, and each datagram, with its name
// and the client's address as it sees it. It keeps connections open until the client
// closes them.
func (w *wiring) serve(t *testing.T, name, host string) {
	t.Helper()
	var ln net.Listener
	var datagrams net.PacketConn
	err := w.servers.In(func() (err error) {
		if ln, err = net.Listen("tcp", net.JoinHostPort(host, "80")); err == nil {
			datagrams, err = net.ListenPacket("udp", net.JoinHostPort(host, "80"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			_, from, err := datagrams.ReadFrom(make([]byte, 100))
			if err != nil {
				return
			}
			datagrams.WriteTo(fmt.Appendf(nil, "%s %v\n", name, from.(*net.UDPAddr).AddrPort().Addr()), from)
		}
	})
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(testenv.Limit))
				fmt.Fprintln(c, name, c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr())
				io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		datagrams.Close()
		wg.Wait()
	})
}

// ask connects to Pen from an address and returns the server's answer. The connection
// stays open until the end of the test.
func (w *wiring) ask(t *testing.T, from, pen string) string {
	t.Helper()
	return w.askBy(t, "tcp", &net.TCPAddr{IP: net.ParseIP(from)}, pen)
}

// askDatagram is the same with one datagram each way.
func (w *wiring) askDatagram(t *testing.T, from, pen string) string {
	t.Helper()
	return w.askBy(t, "udp", &net.UDPAddr{IP: net.ParseIP(from)}, pen)
}

func (w *wiring) askBy(t *testing.T, network string, from net.Addr, pen string) string {
	t.Helper()
	var c net.Conn
	err := w.clients.In(func() (err error) {
		d := net.Dialer{Timeout: testenv.Limit, LocalAddr: from}
		if c, err = d.Dial(network, net.JoinHostPort(pen, "80")); err == nil && network == "udp" {
			_, err = c.Write([]byte("who"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(testenv.Limit))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "closed"
	}
	return strings.TrimSpace(line)
}

// wantSeen connects from addresses, all at the same time, and compares the answers.
func (w *wiring) wantSeen(t *testing.T, answers map[string]string) {
	t.Helper()
	for from, want := range answers {
		pen := outside4
		if netip.MustParseAddr(from).Is6() {
			pen = outside6
		}
		if got := w.ask(t, from, pen); got != want {
			t.Errorf("%s is answered %q, want %q", from, got, want)
		}
	}
}

// A penAsUser is a Pen that runs as a user.
type penAsUser struct {
	plain bool
	user  string
}

// With -u Pen must be built without cgo, which the race detector needs.
var penUsers = []penAsUser{{false, ""}, {true, "nobody"}}

// start starts Pen on its machine and waits until it listens.
func (p penAsUser) start(t *testing.T, w *wiring, args ...string) *lab.Pen {
	t.Helper()
	if p.user != "" {
		args = append([]string{"-u", p.user}, args...)
	}
	return lab.StartPen(t, lab.Setup{Plain: p.plain, Args: append([]string{"-r"}, args...), Place: lab.Place{In: w.pen.In}})
}

// A transparentCase is a command line after --transparent, and the answer to each
// client: the server, and the address that it sees.
type transparentCase struct {
	name string
	args []string
	seen map[string]string
}

func transparentCases() []transparentCase {
	dead4, dead6 := server4+":81", "["+server6+"]:81"
	a6, b6 := "["+server6+"]:80", "["+second6+"]:80"
	return []transparentCase{
		{"IPv4", []string{"80", server4}, map[string]string{client4: "a4 " + client4, another4: "a4 " + another4}},
		{"IPv6", []string{":::80", a6}, map[string]string{client6: "a6 " + client6, another6: "a6 " + another6}},
		{"IPv4 clients of a :: listener", []string{":::80", server4}, map[string]string{client4: "a4 " + client4, another4: "a4 " + another4}},
		{"clients of the other family, IPv4 server", []string{":::80", server4}, map[string]string{client4: "a4 " + client4, client6: "a4 " + inside4}},
		{"clients of the other family, IPv6 server", []string{":::80", a6}, map[string]string{client6: "a6 " + client6, client4: "a6 " + inside6}},
		{"failover, IPv4", []string{"80", dead4, second4}, map[string]string{client4: "b4 " + client4, another4: "b4 " + another4}},
		{"failover, IPv6", []string{":::80", dead6, b6}, map[string]string{client6: "b6 " + client6, another6: "b6 " + another6}},
		{"failover to the other family", []string{":::80", dead4, b6}, map[string]string{client4: "b6 " + inside6}},
		{"emergency server", []string{"-e", second4, "80", dead4}, map[string]string{client4: "b4 " + client4}},
		{"abuse server", []string{"-B", second4, "-O", "acl 0 deny " + client4, "80", server4}, map[string]string{client4: "b4 " + client4}},
		{"source", []string{"--source", inside4, "80", server4}, map[string]string{client4: "a4 " + inside4}},
	}
}

// Servers see the addresses of clients, as soon as the rules are there.
func TestTransparent(t *testing.T) {
	w := newWiring(t)
	w.serve(t, "a4", server4)
	w.serve(t, "b4", second4)
	w.serve(t, "a6", server6)
	w.serve(t, "b6", second6)
	t.Run("without the rules", func(t *testing.T) { withoutRules(t, w) })
	w.makeRules(t)
	for _, p := range penUsers {
		for _, tt := range transparentCases() {
			t.Run(tt.name+" as user "+p.user, func(t *testing.T) {
				p.start(t, w, append([]string{"--transparent"}, tt.args...)...)
				w.wantSeen(t, tt.seen)
			})
		}
	}
	t.Run("UDP", func(t *testing.T) { transparentUDP(t, w) })
	t.Run("UDP, IPv6", func(t *testing.T) { transparentUDP6(t, w) })
	t.Run("as the document says", func(t *testing.T) {
		args := strings.Fields(w.command)
		penAsUser{true, ""}.start(t, w, args[1:]...)
		if got := []string{w.ask(t, client4, outside4), w.ask(t, another4, outside4)}; !slices.Equal(got, []string{"a4 " + client4, "b4 " + another4}) {
			t.Errorf("answers %q", got)
		}
	})
	t.Run("src_valid_mark", func(t *testing.T) {
		const rule = "ip -4 rule add iif inside fwmark 1 lookup 100"
		if !strings.Contains(lab.Document(t, "docs/transparent.md"), rule) {
			t.Errorf("docs/transparent.md does not say: %s", rule)
		}
		w.pen.Sysctl(t, "ipv4/conf/all/src_valid_mark", "1")
		w.pen.Run(t, "sh", "-ec", "ip -4 rule del fwmark 1 lookup 100; "+rule)
		penUsers[0].start(t, w, "--transparent", "80", server4)
		w.wantSeen(t, map[string]string{client4: "a4 " + client4})
	})
}

// withoutRules checks that a client is turned away, and that the log says why.
func withoutRules(t *testing.T, w *wiring) {
	pen := penUsers[0].start(t, w, "--transparent", "-t", "200ms", "80", server4)
	if got := w.ask(t, client4, outside4); got != "closed" {
		t.Errorf("answered %q", got)
	}
	testenv.Eventually(t, "the log says what docs/transparent.md says", func() bool {
		return strings.Contains(lab.ReadFile(pen.Log), "server answers this machine, but no client's address")
	})
}

// makeRules makes the document's rules on Pen's machine and runs its checks. The
// machine forwards nothing, and drops packets that do not come from where its own route
// leads.
func (w *wiring) makeRules(t *testing.T) {
	t.Helper()
	w.pen.Run(t, "sh", "-ec", w.rules)
	for check := range strings.Lines(w.checks) {
		if out := w.pen.Run(t, "sh", "-ec", check); out == "" {
			t.Errorf("%s prints nothing", strings.TrimSpace(check))
		}
	}
	w.pen.Sysctl(t, "ipv4/ip_forward", "0")
	w.pen.Sysctl(t, "ipv6/conf/all/forwarding", "0")
	w.pen.Sysctl(t, "ipv4/conf/all/rp_filter", "1")
}

func transparentUDP(t *testing.T, w *wiring) {
	penUsers[1].start(t, w, "-U", "--transparent", ":::80", server4+":81", second4)
	for range 3 {
		for from, want := range map[string]string{client4: "b4 " + client4, another4: "b4 " + another4} {
			if got := w.askDatagram(t, from, outside4); got != want {
				t.Errorf("%s is answered %q, want %q", from, got, want)
			}
		}
	}
}

func transparentUDP6(t *testing.T, w *wiring) {
	penUsers[1].start(t, w, "-U", "--transparent", ":::80", "["+server6+"]:80")
	for from, want := range map[string]string{client6: "a6 " + client6, another6: "a6 " + another6} {
		if got := w.askDatagram(t, from, outside6); got != want {
			t.Errorf("%s is answered %q, want %q", from, got, want)
		}
	}
	if got, want := w.askDatagram(t, client4, outside4), "a6 "+inside6; got != want {
		t.Errorf("%s is answered %q, want %q", client4, got, want)
	}
}

// Transparent mode can be changed at run time, if Pen has the privilege.
func TestTransparentAtRunTime(t *testing.T) {
	w := newWiring(t)
	w.pen.Run(t, "sh", "-ec", w.rules)
	w.serve(t, "a", server4)
	const lacking = "transparent: needs root, or the capability CAP_NET_RAW; start Pen again with transparent set"
	plain, clients := "a "+inside4, "a "+client4
	for _, tt := range []struct {
		pen   penAsUser
		start string // an option
		steps [][3]string
	}{
		{penUsers[0], "-r", [][3]string{{"", "", plain}, {"transparent on", "", clients}, {"no transparent", "", plain}}},
		{penUsers[1], "--transparent", [][3]string{{"", "", clients}, {"no transparent", "", plain}, {"transparent on", "", clients}}},
		{penUsers[1], "-r", [][3]string{{"transparent on", lacking, plain}}},
	} {
		t.Run(tt.start+" as user "+tt.pen.user, func(t *testing.T) {
			pen := tt.pen.start(t, w, tt.start, "80", server4)
			for _, step := range tt.steps {
				command, reply, answer := step[0], step[1], step[2]
				if command != "" {
					if got := strings.TrimSpace(pen.Ask("%s", command)); !strings.Contains(got, reply) || reply == "" && got != "" {
						t.Errorf("%s: %q, want %q", command, got, reply)
					}
				}
				if got := w.ask(t, client4, outside4); got != answer {
					t.Errorf("after %q: answered %q, want %q", command, got, answer)
				}
			}
		})
	}
}

// Without the privilege Pen does not start, in the foreground or not.
func TestTransparentWithoutPrivilege(t *testing.T) {
	testenv.NeedRoot(t)
	for _, args := range [][]string{{"-f"}, nil} {
		args = append([]string{"--bounding-set", "-net_raw,-net_admin", lab.Program(t, "pen")}, args...)
		cmd := exec.CommandContext(t.Context(), "setpriv", append(args, "--transparent", "127.0.0.1:0", "127.0.0.1:1")...)
		out, _ := cmd.CombinedOutput()
		const want = "pen: transparent: needs root, or the capability CAP_NET_RAW\n"
		if code := cmd.ProcessState.ExitCode(); code != 1 || string(out) != want {
			t.Errorf("%v: exit code %d, %q; want 1, %q", args, code, out, want)
		}
	}
}
