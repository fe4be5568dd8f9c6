package app

import (
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/config"
	"pen/internal/sock"
	"pen/internal/testenv"
)

// configured reads commands as a file has them.
func configured(t *testing.T, lines ...string) config.Config {
	t.Helper()
	var args []string
	for _, l := range lines {
		args = append(args, "-O", l)
	}
	return parse(t, args...).Config
}

// Pen is none of its own servers: one client would take all descriptors, for ever.
func TestOwnListenersAreNoServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sock")
	local := "127.0.0.1"
	for a := range sock.LocalAddrs() {
		if a.Is4() && !a.IsLoopback() {
			local = a.String()
		}
	}
	const itself = "listens for the same service"
	for _, tt := range []struct{ lines, want string }{
		{"listen 127.0.0.1:9000;server 0 address 127.0.0.1", itself},
		{"listen 127.0.0.1:9000;server 0 address 127.0.0.1 port 9000", itself},
		{"listen 127.0.0.1:9000;server 0 address ::ffff:127.0.0.1 port 9000", itself},
		{"listen 127.0.0.1:9000;server 0 address 127.0.0.2 port 9000", ""},
		{"listen 127.0.0.1:9000;server 0 address 127.0.0.1 port 9001", ""},
		{"listen 127.0.0.1:9000;server 0 address 192.0.2.1", ""},
		{"listen 9000;server 0 address 127.0.0.77", itself},
		{"listen 9000;server 0 address " + local, itself},
		{"listen 9000;server 0 address ::1", ""},
		{"listen 9000;server 0 address 192.0.2.1", ""},
		{"listen [::]:9000;server 0 address ::1", itself},
		{"listen [::]:9000;server 0 address 127.0.0.1", itself},
		{"listen [::1]:9000;server 0 address ::", itself},
		{"listen localhost:9000;server 0 address 127.0.0.1", itself},
		{"listen 9000 127.0.0.1:9001;server 0 address 127.0.0.1 port 9001", itself},
		{"listen 9000;server 0 address 192.0.2.1;emergency 127.0.0.1:9000", "emergency server: 127.0.0.1:9000 is where"},
		{"listen 9000;server 0 address 192.0.2.1;abuse 127.0.0.1:9000", "abuse server: 127.0.0.1:9000 is where"},
		{"udp;listen 9000;server 0 address 127.0.0.1", itself},
		{"listen " + path + ";server 0 address " + path, itself},
		{"listen " + path + ";server 0 address " + filepath.Dir(path) + "/./sock", itself},
		// Not the same protocol.
		{"listen 9000;server 0 address 192.0.2.1;service u;service u udp;service u listen 9001;service u server 0 address 127.0.0.1 port 9000", ""},
		// Another service may be a server, unless it leads back.
		{"listen 9000;server 0 address 127.0.0.1 port 9001;service b;service b listen 9001;service b server 0 address 192.0.2.1", ""},
		{"listen 9000;server 0 address 127.0.0.1 port 9001;service b;service b listen 9001;service b server 0 address 127.0.0.1 port 9000", "which leads back here"},
		{"listen 9000;route default b;service b;service b server 0 address 127.0.0.1 port 9000", "which leads back here"},
		// Who connects to these comes from here.
		{"listen 9000;server 0 address 127.0.0.1 port 9009;agent_listen 127.0.0.1:9009", "Pen's own agent_listen socket"},
		{"listen 9000;server 0 address " + path + ";control " + path, "Pen's own control socket"},
	} {
		err := checkErr(configured(t, strings.Split(tt.lines, ";")...))
		switch {
		case tt.want == "" && err != nil, tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.lines, err, tt.want)
		}
	}
}

// At run time it is an error, and changes nothing; at the start the server is
// down, as one whose name is not known.
func TestOwnListenerAtRunTime(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "127.0.0.1:0", named(t, "one"))
	own := "server 1 address 127.0.0.1 port " + portOf(a.Addr())
	if err := a.Apply(command(t, own)); err == nil || !strings.Contains(err.Error(), "server 1: "+a.Addr()+" is where Pen listens for the same service") {
		t.Error(err)
	}
	run(t, a, "server 1 address 127.0.0.3 port 9", "service b", "service b server 0 address 127.0.0.1 port "+portOf(a.Addr()), "service b listen 127.0.0.1:0")
	if err := a.Apply(command(t, "server 1 address 127.0.0.1 port "+portOf(a.cfg.Load().services["b"].addresses()[0]))); err == nil || !strings.Contains(err.Error(), "leads back here") {
		t.Error(err)
	}
	if got := visit(t, a.Addr()); got != "one" {
		t.Errorf("answer %q", got)
	}
	addr := testenv.Listen(t, "tcp", testenv.Loopback)
	free := addr.Addr().String()
	addr.Close()
	b := start(t, "-O", "server 1 address 127.0.0.1 port "+portOf(named(t, "two")), free, free)
	if got := shown(b, 0); !strings.Contains(got, "down "+free+" is where Pen listens") {
		t.Errorf("state: %s", got)
	}
	if got := visit(t, b.Addr()); got != "two" {
		t.Errorf("answer %q", got)
	}
}

// An answer of DNS that is Pen's own listener is as good as none: it is asked for
// again, and other addresses of the name are used.
func TestOwnListenerFromDNS(t *testing.T) {
	testenv.CheckLeaks(t)
	one := named(t, "one")
	var z zone
	z.set("app.test. 0 IN A 127.0.0.1")
	free := testenv.Listen(t, "tcp", "127.0.0.2:"+portOf(one))
	at := free.Addr().String()
	free.Close()
	a := startWith(t, &z, at, "app.test:"+portOf(one))
	if got := visit(t, a.Addr()); got != "one" {
		t.Fatal(got)
	}
	z.set("app.test. 0 IN A 127.0.0.2")
	testenv.Eventually(t, "the refusal", func() bool {
		return strings.Contains(shown(a, 0), "app.test down "+at+" is where Pen listens for the same service")
	})
	c := connect(t, a.Addr())
	c.Read(make([]byte, 1)) // closed
	testenv.Eventually(t, "the end of the only connection", func() bool { return a.cfg.Load().services[config.DefaultService].d.Flows() == 0 })
	z.set("app.test. 0 IN A 127.0.0.2", "app.test. 0 IN A 127.0.0.1")
	testenv.Eventually(t, "the right address", func() bool { return strings.HasPrefix(shown(a, 0), "127.0.0.1 up") })
	if got := visit(t, a.Addr()); got != "one" {
		t.Error(got)
	}
}
