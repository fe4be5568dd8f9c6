package app

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/edge"
	"pen/internal/testenv"
)

// shown is how state shows a server.
func shown(a *App, slot int) string {
	s := a.cfg.Load().services[config.DefaultService].Servers()[slot]
	return fmt.Sprintf("%s %s %s", s.Addr, s.State, s.Found())
}

// A name that DNS does not know keeps nothing from starting, reloading or being
// set. Its server is down, and comes when the name is known.
func TestUnknownNamesKeepNothingFromStarting(t *testing.T) {
	testenv.CheckLeaks(t)
	one := named(t, "one")
	second := testenv.Serve(t, func(c testenv.Conn) { c.Write([]byte("second\n")) }).String()
	var z zone
	z.set("one.test. 0 IN A 127.0.0.1")
	file := filepath.Join(t.TempDir(), "pen.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("server 0 address one.test port " + portOf(one) + "\nserver 1 address gone.test port " + portOf(second) + "\nserver 2 address _x._tcp.gone.test\nemergency gone.test:80\n")
	a := startWith(t, &z, "-r", "-F", file, "127.0.0.1:0")
	for range 3 {
		if got := visit(t, a.Addr()); got != "one" {
			t.Errorf("answer %q", got)
		}
	}
	if got := shown(a, 1); got != "gone.test down name unknown: look up gone.test: no such name" {
		t.Errorf("state: %s", got)
	}
	if got := shown(a, 2); !strings.Contains(got, "down name unknown") {
		t.Errorf("state: %s", got)
	}
	write("timeout 7\nserver 0 address one.test port " + portOf(one) + "\nserver 1 address gone.test port " + portOf(second) + "\nserver 3 address away.test port 80\n")
	if err := a.Reload(); err != nil || a.Config().Services[0].Timeout.Seconds() != 7 {
		t.Errorf("reload: %v", err)
	}
	run(t, a, "server 4 address nowhere.test port 80")
	if got := shown(a, 4); !strings.HasPrefix(got, "nowhere.test down name unknown") {
		t.Errorf("state: %s", got)
	}
	z.set("one.test. 0 IN A 127.0.0.1", "gone.test. 0 IN A 127.0.0.1")
	testenv.Eventually(t, "the name's server", func() bool { return shown(a, 1) == "127.0.0.1 up " })
	testenv.Eventually(t, "its answer", func() bool { return visit(t, a.Addr()) == "second" })
}

// What is no name at all is an error.
func TestImpossibleNames(t *testing.T) {
	a := startWith(t, &zone{}, "127.0.0.1:0", named(t, "one"))
	if err := a.Apply(command(t, "server 1 address a..b port 80")); err == nil || !strings.Contains(err.Error(), "unknown or invalid address [a..b]") {
		t.Error(err)
	}
}

// All addresses of a name are tried, at the first connection and after.
func TestEveryAddressOfAName(t *testing.T) {
	for _, plane := range []string{"loop", "stream"} {
		t.Run(plane, func(t *testing.T) {
			testenv.CheckLeaks(t)
			one := named(t, "one")
			var z zone
			z.set("both.test. 0 IN AAAA ::1", "both.test. 0 IN A 127.0.0.3", "both.test. 0 IN A 127.0.0.1")
			a := startWith(t, &z, "-b", "30", "-O", "plane "+plane, "-O", "check tcp interval 50ms", "127.0.0.1:0", "both.test:"+portOf(one))
			for range 3 {
				if got := visit(t, a.Addr()); got != "one" {
					t.Errorf("answer %q", got)
				}
			}
			testenv.Eventually(t, "the check", func() bool { return strings.Contains(shown(a, 0), "tcp up") })
			if got := shown(a, 0); !strings.HasPrefix(got, "127.0.0.1 up") {
				t.Errorf("state: %s", got)
			}
		})
	}
}

// So does a flow of datagrams, when the first one is refused.
func TestEveryAddressOfADatagramServer(t *testing.T) {
	testenv.CheckLeaks(t)
	server, err := net.ListenPacket("udp", testenv.Loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(b[:n], from)
		}
	}()
	var z zone
	z.set("both.test. 0 IN AAAA ::1", "both.test. 0 IN A 127.0.0.1")
	a := startWith(t, &z, "-U", "127.0.0.1:0", "both.test:"+portOf(server.LocalAddr().String()))
	c, err := net.Dial("udp", a.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	testenv.Eventually(t, "an answer", func() bool {
		c.Write([]byte("question"))
		c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		n, _ := c.Read(make([]byte, 100))
		return n == 8
	})
}

// Slots that name one host and port share its addresses.
func TestAddressesAreSpread(t *testing.T) {
	var z zone
	z.set("web.test. 0 IN A 127.0.0.11", "web.test. 0 IN A 127.0.0.12", "web.test. 0 IN A 127.0.0.13")
	a := startWith(t, &z, "-O", "server 0-3 address web.test port 80", "-O", "server 4 address web.test port 81", "127.0.0.1:0")
	var got []string
	for _, s := range a.cfg.Load().services[config.DefaultService].d.Servers() {
		if s.Used() {
			got = append(got, fmt.Sprint(s.Slot, " ", s.Addr, " ", len(s.Others)))
		}
	}
	want := "0 127.0.0.11:80 0, 1 127.0.0.12:80 0, 2 127.0.0.13:80 0, 4 127.0.0.11:81 2"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("servers %s, want %s", s, want)
	}
}

// A failed connect, HUP and the address of a server ask DNS again, long before
// the answer is old.
func TestNamesAreAskedAgain(t *testing.T) {
	one := named(t, "one")
	for what, again := range map[string]func(t *testing.T, a *App){
		"a failed connect": func(t *testing.T, a *App) {
			c := connect(t, a.Addr())
			c.Read(make([]byte, 1)) // refused
		},
		"HUP": func(t *testing.T, a *App) {
			if err := a.Reload(); err != nil {
				t.Error(err)
			}
		},
		"address": func(t *testing.T, a *App) { run(t, a, "server 0 address web.test") },
	} {
		t.Run(what, func(t *testing.T) {
			var z zone
			z.set("web.test. 3600 IN A 127.0.0.9")
			a := startWith(t, &z, "127.0.0.1:0", "web.test:"+portOf(one))
			z.set("web.test. 3600 IN A 127.0.0.2")
			again(t, a)
			testenv.Eventually(t, "the new address", func() bool { return strings.HasPrefix(shown(a, 0), "127.0.0.2 ") })
		})
	}
}

// A change makes the policies of the services anew that it concerns.
func TestChangeBuildsWhatItConcerns(t *testing.T) {
	var z zone
	z.set("web.test. 0 IN A 127.0.0.1")
	args := []string{"-O", "balance maglev"}
	for i := range 5 {
		s := fmt.Sprintf("service s%d", i)
		args = append(args, "-O", s, "-O", s+" server 0 address 127.0.0.1 port 80", "-O", s+" balance maglev")
	}
	args = append(args, "-O", "service s4 server 1 address web.test port 80", "127.0.0.1:0", "127.0.0.1:1")
	a := startWith(t, &z, args...)
	for _, tt := range []struct {
		command string
		want    int
	}{
		{"service s3 server 0 weight 7", 1},
		{"service s3 server 0 weight 7", 0},
		{"timeout 9", 1},
		{"service s4 drain 0", 1},
		{"control_acl 3", 0},
		{"acl 3 permit 192.0.2.0/24", 6},
		{"debug 3", 6},
		{"service s5", 1},
		{"no service s5", 0},
	} {
		before, table := a.built, a.builder.Used().Policies[3].Pool.Maglev
		run(t, a, tt.command)
		if n := a.built - before; n != tt.want {
			t.Errorf("%s: %d policies were made, want %d", tt.command, n, tt.want)
		}
		if tt.want == 0 && a.builder.Used().Policies[3].Pool.Maglev != table {
			t.Errorf("%s: the table of another service is a new one", tt.command)
		}
	}
	before := a.built
	z.set("web.test. 0 IN A 127.0.0.2")
	testenv.Eventually(t, "the new address", func() bool {
		return a.cfg.Load().services["s4"].d.Servers()[1].Addr.String() == "127.0.0.2:80"
	})
	if err := a.Stop(0); err != nil {
		t.Error(err)
	}
	if n := a.built - before; n != 1 {
		t.Errorf("%d policies were made for an answer of DNS, want 1", n)
	}
}

// A server's certificate is verified for what the operator has written.
func TestCertificateIsForWhatIsWritten(t *testing.T) {
	var z zone
	z.set("_https._tcp.example.org. 0 IN SRV 1 1 443 www.attacker.test.", "www.attacker.test. 0 IN A 127.0.0.66", "web.example.org. 0 IN A 127.0.0.66",
		"many.example.org. 0 IN A 127.0.0.66", "many.example.org. 0 IN A 127.0.0.67")
	a := startWith(t, &z, "-O", "tls on noverify",
		"-O", "server 0-1 address _https._tcp.example.org", "-O", "server 2 address web.example.org port 443", "-O", "server 3 address 127.0.0.2 port 443",
		"-O", "server 4-5 address many.example.org port 443", "127.0.0.1:0")
	for slot, want := range map[int]string{0: "example.org", 2: "web.example.org", 3: "127.0.0.2", 4: "many.example.org", 5: "many.example.org"} {
		preamble, ok := a.builder.Used().Policies[0].Pool.Servers[slot].Preamble.(edge.Preamble)
		if !ok || preamble.Host != want {
			t.Errorf("server %d is verified for %q, want %q", slot, preamble.Host, want)
		}
	}
}
