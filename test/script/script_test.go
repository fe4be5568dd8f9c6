// Package script_test runs the scripts in testdata, tests of Pen as its users see it.
package script_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs each script on every plane. A script starts servers and a Pen, and
// says what must happen. The functions in Cmds document the commands.
func TestScripts(t *testing.T) {
	for _, plane := range []string{"loop", "stream"} {
		t.Run(plane, func(t *testing.T) { runScripts(t, plane) })
	}
}

func runScripts(t *testing.T, plane string) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("PATH", lab.Programs(t)+string(os.PathListSeparator)+os.Getenv("PATH"))
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

// A world is what a script has started. It is stopped at the end of the script.
type world struct {
	plane   string
	servers map[string]*lab.NameServer
	daemons map[string]*exec.Cmd // real servers
	held    map[string]net.Conn
	load    *lab.Load
	wrk     *wrkLoad
	pen     *exec.Cmd
	penDone chan error
	log     string // file with Pen's log
	listen  string
	ca      *testenv.Authority // signs certificates; nil until it is needed
}

func newWorld() *world {
	return &world{servers: map[string]*lab.NameServer{}, daemons: map[string]*exec.Cmd{}, held: map[string]net.Conn{}}
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func (w *world) close() {
	if w.load != nil {
		w.load.Stop()
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
		s.Close()
	}
	for _, c := range w.daemons {
		c.Process.Kill()
		c.Wait()
	}
}

// endDaemons kills the programs in the background that a failed script has left behind.
// Their pid files are still there.
func endDaemons(dir string) {
	for _, name := range []string{"pid", "cpid", "jail/pid"} {
		pid, err := strconv.Atoi(strings.TrimSpace(lab.ReadFile(filepath.Join(dir, name))))
		if err != nil || !strings.Contains(lab.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)), "pen") {
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
