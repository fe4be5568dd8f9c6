package compat_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// A twin is one of the two programs, with its own listener and control port.
type twin struct {
	t       *testing.T
	name    string
	listen  string
	control string
	pid     int
	penctl  string         // the other program's, so that each controls the other
	dir     string         // DIR in commands and replies
	sink    net.PacketConn // SINK: receives the network log
	servers map[string]*lab.NameServer
	held    map[string]net.Conn
}

func startTwin(t *testing.T, name, program, penctl string, servers map[string]*lab.NameServer, args []string) *twin {
	t.Helper()
	var addrs []string
	for _, s := range []string{"a", "b", "c"} {
		addrs = append(addrs, servers[s].Addr)
	}
	tw := startTwinAt(t, name, program, penctl, addrs, args)
	tw.servers = servers
	return tw
}

// startTwinAt starts a program in front of servers.
func startTwinAt(t *testing.T, name, program, penctl string, servers, args []string) *twin {
	t.Helper()
	tw := &twin{
		t: t, name: name, listen: testenv.Unused(t), control: filepath.Join(socketDir(t), "ctl"), penctl: penctl, dir: t.TempDir(), held: map[string]net.Conn{},
	}
	sink, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sink.Close() })
	tw.sink = sink
	args = append([]string{"-f", "-X", "-u", "root", "-O", "poll", "-C", tw.control}, args...)
	i := len(args)
	args = append(append(args, tw.listen), servers...)
	cmd := exec.Command(program, args...)
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tw.pid = cmd.Process.Pid
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		log.Close()
		if t.Failed() {
			t.Logf("%s %v\n%s", program, args[:i], lab.ReadFile(log.Name()))
		}
	})
	// The control socket is bound before the listener, but answers only after it.
	testenv.Eventually(t, name+" answers at its control port", func() bool { return strings.Contains(tw.do("mode"), "roundrobin") })
	return tw
}

// socketDir makes a folder with a short name: the paths of sockets are bounded.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// do takes a step and returns its result:
//
//	visit N         the server that answers client 127.0.0.N
//	hold NAME N     the same, and the connection stays open
//	dig N           the server that answers the DNS query of client 127.0.0.N
//	say N TEXT      the server that answers client 127.0.0.N, which has sent a line
//	file NAME       the text of a file in DIR
//	sunk            the next datagram of the network log
//	gone            waits until the program has ended
//	drop NAME       closes a held connection, and waits until the program has counted that
//	anything else   the reply to a control command
func (tw *twin) do(words string) string {
	words = strings.NewReplacer("DIR", tw.dir, "SINK", tw.sink.LocalAddr().String()).Replace(words)
	w := strings.Fields(words)
	switch w[0] {
	case "say":
		c, name := lab.Say(tw.listen, tw.client(w[1]), strings.Join(w[2:], " ")+"\r\n")
		if c != nil {
			c.Close()
			tw.settle()
		}
		return name
	case "file":
		return tw.normal(lab.ReadFile(filepath.Join(tw.dir, w[1])))
	case "sunk":
		buf := make([]byte, 2000)
		tw.sink.SetReadDeadline(time.Now().Add(testenv.Limit))
		n, _, err := tw.sink.ReadFrom(buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:n])
	case "gone":
		if !testenv.Within(testenv.Limit, func() bool { return !lab.Reachable(tw.control) }) {
			return "it is still there"
		}
		return "gone"
	case "visit":
		c, name := lab.Call(tw.listen, tw.client(w[1]))
		if c != nil {
			c.Close()
			tw.settle()
		}
		return name
	case "hold":
		c, name := lab.Call(tw.listen, tw.client(w[2]))
		tw.held[w[1]] = c
		return name
	case "dig":
		name, err := lab.QueryDNS(tw.listen, "127.0.0."+w[1])
		if err != nil {
			return "no answer"
		}
		return name
	case "drop":
		tw.held[w[1]].Close()
		delete(tw.held, w[1])
		tw.settle()
		return ""
	}
	out, err := exec.Command(tw.penctl, append([]string{tw.control}, w...)...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%s%v", out, err)
	}
	return tw.normal(string(out))
}

func (tw *twin) client(n string) *net.TCPAddr {
	return &net.TCPAddr{IP: net.ParseIP("127.0.0." + n)}
}

var connCount = regexp.MustCompile(` conn (\d+) `)

// settle waits until as many connections are counted as are held.
func (tw *twin) settle() {
	tw.t.Helper()
	testenv.Eventually(tw.t, fmt.Sprintf("%s counts the %d connections that are held", tw.name, len(tw.held)), func() bool {
		total := 0
		for _, m := range connCount.FindAllStringSubmatch(tw.do("servers"), -1) {
			n := 0
			fmt.Sscan(m[1], &n)
			total += n
		}
		return total == len(tw.held)
	})
}

var changing = []struct{ what, with string }{
	{`Time \d{4}-\d\d-\d\d \d\d:\d\d:\d\d`, "Time T"},
	{`downfd = \d+, upfd = \d+`, "downfd = D, upfd = U"},
	{`(?m)^(127\.0\.0\.\d+) \d{10} `, "$1 TIME "}, // a line of the log
	{`(?m)^(.*sx \d+) rx \d+$`, "$1 rx R"},        // C Pen counts answers when it reads them
}

// normal replaces what differs between two runs of one program.
func (tw *twin) normal(s string) string {
	s = strings.NewReplacer(tw.listen, "LISTEN", tw.control, "CONTROL", tw.dir, "DIR", tw.sink.LocalAddr().String(), "SINK").Replace(s)
	for _, c := range changing {
		s = regexp.MustCompile(c.what).ReplaceAllString(s, c.with)
	}
	return s
}

// nameServers starts the servers a, b and c.
func nameServers(t *testing.T) map[string]*lab.NameServer {
	t.Helper()
	servers := map[string]*lab.NameServer{}
	for _, name := range []string{"a", "b", "c"} {
		s := &lab.NameServer{Name: name, Addr: testenv.Unused(t)}
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		servers[name] = s
	}
	return servers
}
