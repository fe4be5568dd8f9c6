package pen_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

const (
	manyServices  = 100
	serversEach   = 100
	reloadAtMost  = 10 * time.Second // a second is wanted; this machine may be busy
	memoryForMany = 300 << 20
)

// A pen is a Pen of the program that users have, with a configuration file.
type pen struct {
	t       *testing.T
	cmd     *exec.Cmd
	done    chan struct{} // closed at its end
	conf    string
	control string
	log     string
}

// runPen starts Pen with what its file is to say, and waits until it listens
// everywhere.
func runPen(t *testing.T, plane, text string) *pen {
	t.Helper()
	dir := t.TempDir()
	p := &pen{
		t: t, done: make(chan struct{}),
		conf: filepath.Join(dir, "pen.conf"), control: filepath.Join(dir, "ctl"), log: filepath.Join(dir, "log"),
	}
	writeFile(t, p.conf, text)
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.cmd = exec.Command(filepath.Join(programs, "pen-plain"), "-f", "-C", p.control, "-O", "plane "+plane, "-F", p.conf)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("the end of the log:\n%s", tail(readFile(p.log), 4096))
		}
	})
	n := strings.Count(text, "\nlisten ")
	p.await("Pen to listen", func() bool { return strings.Count(readFile(p.log), " listening ") == n || p.ended() })
	if p.ended() {
		t.Fatal("Pen ended")
	}
	return p
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

func (p *pen) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// await waits for a condition.
func (p *pen) await(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(2 * patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// ask returns the reply to a control command.
func (p *pen) ask(format string, args ...any) string {
	p.t.Helper()
	c, err := net.Dial("unix", p.control)
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, format+"\n", args...)
	c.(*net.UnixConn).CloseWrite()
	reply, err := io.ReadAll(c)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(reply)
}

// reload replaces the file, has Pen read it, and returns how long that took:
// from the signal to the line in the log.
func (p *pen) reload(text string) time.Duration {
	p.t.Helper()
	writeFile(p.t, p.conf+".new", text) // and renamed: Pen may be reading it
	if err := os.Rename(p.conf+".new", p.conf); err != nil {
		p.t.Fatal(err)
	}
	reloads := func() int { return strings.Count(readFile(p.log), " reloaded\n") }
	before, begin := reloads(), time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		p.t.Fatal(err)
	}
	p.await("a reload", func() bool { return reloads() > before })
	return time.Since(begin)
}

// stop has Pen end, and returns how long that took.
func (p *pen) stop() time.Duration {
	p.t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	p.await("Pen's end", p.ended)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("exit code %d", code)
	}
	return time.Since(begin)
}

// Ten thousand servers in a hundred services, or in a single one: a change in
// each service is soon made, memory stays under its bound, and clients are
// served. So it is while each server is checked.
func TestManyServers(t *testing.T) {
	for _, c := range []struct {
		name     string
		services int
		check    string
	}{
		{"a hundred services", manyServices, ""},
		{"one service", 1, ""},
		{"checked", manyServices, "check tcp interval 5s"},
	} {
		t.Run(c.name, func(t *testing.T) { testManyServers(t, c.services, c.check) })
	}
}

func testManyServers(t *testing.T, services int, check string) {
	server := &nameServer{name: "here", addr: "0.0.0.0:0"} // on all of 127.0.0.0/8
	if err := server.start(); err != nil {
		t.Fatal(err)
	}
	defer server.close()
	_, port, _ := net.SplitHostPort(server.addr)
	_, free, _ := net.SplitHostPort(testenv.Unused(t))
	listen := make([]string, services) // each at an address of its own
	for i := range listen {
		listen[i] = fmt.Sprintf("127.99.0.%d:%s", 1+i, free)
	}
	begin := time.Now()
	p := runPen(t, "auto", manyServersText(listen, port, check, -1))
	started := time.Since(begin)
	each := manyServices * serversEach / services
	if check != "" {
		for i := range listen {
			p.await("all checks", func() bool { return strings.Count(p.ask("service s%d state", i), " check tcp up") == each })
		}
	}
	var took []time.Duration
	for turn := range 3 {
		d := p.reload(manyServersText(listen, port, check, turn))
		if took = append(took, d.Round(time.Millisecond)); d > reloadAtMost {
			t.Errorf("reload %d took %v", turn, d)
		}
		for i := range listen {
			if n := strings.Count(p.ask("service s%d servers", i), " weight 2 "); n != 1 {
				t.Fatalf("after reload %d service s%d has %d servers of another weight, want 1", turn, i, n)
			}
		}
	}
	for _, at := range []string{listen[0], listen[len(listen)-1]} {
		c, name := call(at, nil)
		if name != server.name {
			t.Fatalf("at %s: %q", at, name)
		}
		c.Close()
	}
	peak := peakMemory(t, p.cmd.Process.Pid)
	t.Logf("start %v, reloads %v, stop %v, at most %d MiB of memory", started.Round(time.Millisecond), took, p.stop().Round(time.Millisecond), peak>>20)
	if peak > memoryForMany {
		t.Errorf("%d MiB of memory, want at most %d", peak>>20, memoryForMany>>20)
	}
}

// manyServersText is the file of ten thousand servers at addresses of their own.
// In each service the one of a slot has another weight.
func manyServersText(listen []string, port, check string, heavy int) string {
	var b strings.Builder
	each := manyServices * serversEach / len(listen)
	for i, at := range listen {
		fmt.Fprintf(&b, "service s%d\nlisten %s\n%s\n", i, at, check)
		for slot := range each {
			n, weight := i*each+slot, 1
			if slot == heavy {
				weight = 2
			}
			fmt.Fprintf(&b, "server %d address 127.%d.%d.%d port %s weight %d\n", slot, 1+n/40_000, n/200%200, 1+n%200, port, weight)
		}
	}
	return b.String()
}
