package pen_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a condition may take that normally takes no time.
const patience = 30 * time.Second

// programs is the folder of the programs under test.
var programs string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

// testMain builds the programs with the race detector, as the tests are. Tests run
// in the repository's root.
func testMain(m *testing.M) int {
	if err := os.Chdir(".."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "pen-programs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command("go", "build", "-race", "-o", dir, "./cmd/...").CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	// And Pen as users have it, without cgo, for load that the race detector is
	// too slow for.
	plain := exec.Command("go", "build", "-o", filepath.Join(dir, "pen-plain"), "./cmd/pen")
	plain.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err = plain.CombinedOutput()
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	programs = dir
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each program takes a second to end
	return m.Run()
}

// TestScripts runs testdata/script: each starts servers and a Pen, and says
// what must happen, on every plane. The commands are documented at the functions
// below.
func TestScripts(t *testing.T) {
	for _, plane := range []string{"loop", "stream"} {
		t.Run(plane, func(t *testing.T) { runScripts(t, plane) })
	}
}

func runScripts(t *testing.T, plane string) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("test", "testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
			w := newWorld()
			w.plane = plane
			env.Values[worldKey{}] = w
			env.Defer(w.close)
			env.Defer(func() { endDaemons(env.WorkDir) })
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"servers": servers, "echoes": echoes, "stopserver": stopServer, "startserver": startServer, "cert": cert,
			"nginx": nginx, "dns": dns, "killserver": killServer,
			"port": port, "pen": startPen, "signal": signalPen, "ended": penEnded, "logged": logged,
			"ctl": ctl, "visit": visit, "tell": tell, "hold": hold, "drop": drop, "gone": gone, "countrydb": countryDB,
			"load": startLoad, "endload": endLoad, "wrk": startWrk, "endwrk": endWrk, "eventually": eventually,
			"until": until, "endpid": endPid,
		},
		Condition: func(cond string) (bool, error) {
			if cond != "root" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			return os.Geteuid() == 0, nil
		},
	})
}

type worldKey struct{}

// A world is what a script has started. Everything ends with the script.
type world struct {
	plane   string
	servers map[string]*nameServer
	daemons map[string]*exec.Cmd // real servers
	held    map[string]net.Conn
	load    *load
	wrk     *wrkLoad
	pen     *exec.Cmd
	penDone chan error
	log     string // file with what Pen said
	listen  string
	ca      *authority // who signs certificates, once there is one
}

func newWorld() *world {
	return &world{servers: map[string]*nameServer{}, daemons: map[string]*exec.Cmd{}, held: map[string]net.Conn{}}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) close() {
	if w.load != nil {
		w.load.stop()
	}
	if w.wrk != nil {
		w.wrk.cmd.Process.Kill()
		<-w.wrk.done
	}
	for _, c := range w.held {
		c.Close()
	}
	if w.pen != nil {
		w.pen.Process.Kill()
		<-w.penDone
	}
	for _, s := range w.servers {
		s.close()
	}
	for _, c := range w.daemons {
		c.Process.Kill()
		c.Wait()
	}
}

// endDaemons ends what a script has sent to the background and, since it
// failed, did not end itself: whose pid file is still there.
func endDaemons(dir string) {
	for _, name := range []string{"pid", "cpid", "jail/pid"} {
		pid, err := strconv.Atoi(strings.TrimSpace(readFile(filepath.Join(dir, name))))
		if err != nil || !strings.Contains(readFile(fmt.Sprintf("/proc/%d/cmdline", pid)), "pen") {
			continue
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

// setAddr sets $NAME to an address, and $NAME_PORT to its port.
func setAddr(ts *testscript.TestScript, name, addr string) {
	_, port, _ := net.SplitHostPort(addr)
	ts.Setenv(name, addr)
	ts.Setenv(name+"_PORT", port)
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
		waitFor(ts, "nginx at "+addr, func() bool { return reachable(addr) })
	}
}

// killserver NAME kills a real server and waits for its end. From then on the load
// counts.
func killServer(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	cmd := w.daemons[args[0]]
	ts.Check(cmd.Process.Kill())
	cmd.Wait()
	if w.load != nil {
		w.load.mark()
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

// pen [-plain] ARG... starts Pen in the foreground on a free address, $PEN, with
// a control socket, $CTL, and waits until it listens. Operands are servers.
// -plain is the program without the race detector.
func startPen(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	program := filepath.Join(programs, "pen")
	if len(args) > 0 && args[0] == "-plain" {
		program, args = program+"-plain", args[1:]
	}
	w.listen = freeAddr(ts)
	setAddr(ts, "PEN", w.listen)
	ctl := ts.MkAbs("ctl")
	ts.Setenv("CTL", ctl)
	w.log = ts.MkAbs("pen.log")
	log, err := os.Create(w.log)
	ts.Check(err)
	w.pen = exec.Command(program, append([]string{"-f", "-C", ctl, "-O", "plane " + w.plane, w.listen}, args...)...)
	w.pen.Dir = ts.MkAbs(".")
	w.pen.Stdout, w.pen.Stderr = log, log
	ts.Check(w.pen.Start())
	w.penDone = make(chan error, 1)
	go func() { w.penDone <- w.pen.Wait() }()
	waitFor(ts, "Pen at "+w.listen, func() bool {
		return strings.Contains(readFile(w.log), "listening") || hasEnded(w)
	})
	if hasEnded(w) {
		ts.Fatalf("Pen ended: %s", readFile(w.log))
	}
}

func hasEnded(w *world) bool {
	select {
	case err := <-w.penDone:
		w.penDone <- err
		return true
	default:
		return false
	}
}

// signal NAME sends Pen a signal.
func signalPen(ts *testscript.TestScript, _ bool, args []string) {
	s := map[string]syscall.Signal{"HUP": syscall.SIGHUP, "TERM": syscall.SIGTERM, "USR1": syscall.SIGUSR1}[args[0]]
	ts.Check(worldOf(ts).pen.Process.Signal(s))
}

// ended [CODE] waits for Pen's end and checks its exit code, 0 if none is given.
func penEnded(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	waitFor(ts, "Pen's end", func() bool { return hasEnded(w) })
	want := "0"
	if len(args) > 0 {
		want = args[0]
	}
	if got := strconv.Itoa(w.pen.ProcessState.ExitCode()); got != want {
		ts.Fatalf("exit code %s, want %s: %s", got, want, readFile(w.log))
	}
}

// logged TEXT waits until Pen's log contains a text. ! logged ends Pen, so that
// its log is whole, and checks that it does not.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	has := func() bool { return strings.Contains(readFile(worldOf(ts).log), args[0]) }
	if neg {
		signalPen(ts, false, []string{"TERM"})
		penEnded(ts, false, nil)
		if has() {
			ts.Fatalf("the log says %q: %s", args[0], readFile(worldOf(ts).log))
		}
		return
	}
	waitFor(ts, fmt.Sprintf("%q in the log", args[0]), has)
}

// ctl COMMAND... runs penctl; its output can be checked with stdout.
func ctl(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("penctl", append([]string{ts.MkAbs("ctl")}, args...)...))
}

// visit [-at ADDRESS] [-from IP] [-n COUNT] connects to Pen and prints who
// answered, on one line if several times; "closed" is a connection without an
// answer.
func visit(ts *testscript.TestScript, neg bool, args []string) {
	at := worldOf(ts).listen
	if len(args) >= 2 && args[0] == "-at" {
		at, args = args[1], args[2:]
	}
	from, n := visitFrom(ts, args)
	var names []string
	for range n {
		c, name := call(at, from)
		if c != nil {
			c.Close()
		}
		names = append(names, name)
	}
	fmt.Fprintln(ts.Stdout(), strings.Join(names, " "))
}

// tell [-from IP] TEXT sends Pen a text, with escapes as Go has them, and prints
// all that comes back.
func tell(ts *testscript.TestScript, neg bool, args []string) {
	from, _ := visitFrom(ts, args[:len(args)-1])
	text, err := strconv.Unquote(`"` + args[len(args)-1] + `"`)
	ts.Check(err)
	d := net.Dialer{Timeout: patience, LocalAddr: from}
	c, err := d.Dial("tcp", worldOf(ts).listen)
	ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, text)
	if _, err := io.Copy(ts.Stdout(), c); err != nil {
		fmt.Fprintln(ts.Stdout(), "and then", err)
	}
}

func visitFrom(ts *testscript.TestScript, args []string) (from *net.TCPAddr, n int) {
	from, n = &net.TCPAddr{}, 1
	for ; len(args) >= 2; args = args[2:] {
		var err error
		switch args[0] {
		case "-from":
			from.IP = net.ParseIP(args[1])
		case "-n":
			n, err = strconv.Atoi(args[1])
		default:
			ts.Fatalf("visit: unknown option %s", args[0])
		}
		ts.Check(err)
	}
	return from, n
}

// call connects and reads the server's name.
func call(addr string, from *net.TCPAddr) (net.Conn, string) { return say(addr, from, "") }

// say connects, sends a text, and reads the first line of the answer.
func say(addr string, from *net.TCPAddr, text string) (net.Conn, string) {
	d := net.Dialer{Timeout: patience, LocalAddr: from}
	network := "tcp"
	if strings.Contains(addr, "/") {
		d.LocalAddr, network = nil, "unix"
	}
	c, err := d.Dial(network, addr)
	if err != nil {
		return nil, "closed"
	}
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, text)
	name, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		c.Close()
		return nil, "closed"
	}
	return c, strings.TrimSpace(name)
}

// hold NAME [-from IP] is a visit that stays; it prints who answered.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	from, _ := visitFrom(ts, args[1:])
	c, name := call(worldOf(ts).listen, from)
	if c != nil {
		worldOf(ts).held[args[0]] = c
	}
	fmt.Fprintln(ts.Stdout(), name)
}

// drop NAME ends a held visit; drop -ended NAME waits until Pen has ended it.
func drop(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if args[0] == "-ended" {
		c := w.held[args[1]]
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			ts.Fatalf("%s is still connected: %v", args[1], err)
		}
		return
	}
	w.held[args[0]].Close()
}

// gone ADDRESS waits until nobody listens there.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, "the end of the listener at "+args[0], func() bool { return !reachable(args[0]) })
}

// eventually COMMAND... -- TEXT runs a penctl command until its reply contains
// a text.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	cmd, text, ok := strings.Cut(strings.Join(args, " "), " -- ")
	if !ok {
		ts.Fatalf("usage: eventually COMMAND... -- TEXT")
	}
	var reply string
	waitFor(ts, fmt.Sprintf("%q in the reply to %s", text, cmd), func() bool {
		out, _ := exec.Command(filepath.Join(programs, "penctl"), append([]string{ts.MkAbs("ctl")}, strings.Fields(cmd)...)...).Output()
		reply = string(out)
		return strings.Contains(reply, text)
	})
}

// until COMMAND runs a command of the shell until it succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	waitFor(ts, strings.Join(args, " "), func() bool { return ts.Exec("sh", "-c", strings.Join(args, " ")) == nil })
}

// endpid FILE ends the process of a pid file and waits for its end.
func endPid(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	waitFor(ts, "the end of "+args[0], func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func waitFor(ts *testscript.TestScript, what string, ok func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for pause := 2 * time.Millisecond; !ok(); pause = min(2*pause, 50*time.Millisecond) {
		select {
		case <-ctx.Done():
			ts.Fatalf("waited in vain for %s", what)
		case <-time.After(pause):
		}
	}
}

func reachable(addr string) bool {
	network := "tcp"
	if strings.Contains(addr, "/") {
		network = "unix"
	}
	c, err := net.DialTimeout(network, addr, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func readFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
