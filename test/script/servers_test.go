package script_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"github.com/rogpeppe/go-internal/testscript"
)

// servers NAME... starts servers that answer with their names. $NAME is the
// address of each, $NAME_PORT its port.
func servers(ts *testscript.TestScript, _ bool, args []string) { startServers(ts, args, false) }

// echoes NAME... starts HTTP servers that answer with what they were sent: a
// PROXY header, if there is one, and the head of the request.
func echoes(ts *testscript.TestScript, _ bool, args []string) { startServers(ts, args, true) }

func startServers(ts *testscript.TestScript, names []string, echoes bool) {
	for _, name := range names {
		s := &lab.NameServer{Name: name, Addr: freeAddr(ts), Echoes: echoes}
		ts.Check(s.Start())
		worldOf(ts).servers[name] = s
		setAddr(ts, name, s.Addr)
	}
}

// stopserver NAME... has servers refuse connections; open ones go on.
func stopServer(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		worldOf(ts).servers[name].Close()
	}
}

// startserver NAME... has stopped servers accept again.
func startServer(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(worldOf(ts).servers[name].Start())
	}
}

// nginx NAME... starts real nginx servers, one process each, that answer any
// request with their name.
func nginx(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		addr := freeAddr(ts)
		dir := ts.MkAbs("nginx-" + name)
		ts.Check(os.MkdirAll(dir, 0o755))
		conf := filepath.Join(dir, "nginx.conf")
		ts.Check(os.WriteFile(conf, fmt.Appendf(nil, `daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 4096; }
http { access_log %s/access.log; server { listen %s backlog=4096; location / { return 200 "%s\n"; } } }
`, dir, dir, dir, addr, name), 0o644))
		cmd := exec.Command("nginx", "-p", dir, "-e", dir+"/error.log", "-c", conf)
		ts.Check(cmd.Start())
		worldOf(ts).daemons[name] = cmd
		setAddr(ts, name, addr)
		testenv.Eventually(ts, "nginx listens on "+addr, func() bool { return lab.Reachable(addr) })
	}
}

// dns KIND NAME starts a real DNS server: see lab.StartDNS. killserver ends it.
func dns(ts *testscript.TestScript, _ bool, args []string) {
	cmd, addr, err := lab.StartDNS(args[0], args[1], ts.MkAbs("dns-"+args[1]))
	ts.Check(err)
	worldOf(ts).daemons[args[1]] = cmd
	setAddr(ts, args[1], addr)
}

// killserver NAME kills a real server and waits for its end. From then on the load
// counts.
func killServer(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	cmd := w.daemons[args[0]]
	ts.Check(cmd.Process.Kill())
	cmd.Wait()
	if w.load != nil {
		w.load.Count()
	}
}

// port NAME... sets each $NAME to a free address.
func port(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		setAddr(ts, name, freeAddr(ts))
	}
}

func freeAddr(ts *testscript.TestScript) string {
	addr, err := testenv.UnusedAddr()
	ts.Check(err)
	return addr
}

// cert FILE NAME... writes a certificate for names, with its key, to a PEM file;
// the authority that has signed it is in ca.pem.
func cert(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	if w.ca == nil {
		w.ca = testenv.NewAuthority(ts, "Pen's tests")
		w.ca.Write(ts, ts.MkAbs("ca.pem"))
	}
	testenv.WritePEM(ts, ts.MkAbs(args[0]), w.ca.Issue(ts, args[1:]...))
}

// countrydb FILE LINES writes a GeoIP database, over an old one if there is one.
// LINES is a file with lines such as "127.0.0.0/8 SE".
func countryDB(ts *testscript.TestScript, _ bool, args []string) {
	var lines []string
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		lines = append(lines, strings.TrimSpace(line))
	}
	data, err := testenv.CountryDB(lines...)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}
