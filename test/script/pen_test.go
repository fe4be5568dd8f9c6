package script_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"github.com/rogpeppe/go-internal/testscript"
)

// pen [-plain] ARG... starts Pen in the foreground on a free address, $PEN, with a
// control socket, $CTL, and waits until it listens. Operands are servers. With -plain
// it is the program without the race detector.
func startPen(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	program := lab.Program
	if len(args) > 0 && args[0] == "-plain" {
		program, args = lab.Plain, args[1:]
	}
	w.listen = freeAddr(ts)
	setAddr(ts, "PEN", w.listen)
	ctl := ts.MkAbs("ctl")
	ts.Setenv("CTL", ctl)
	w.log = ts.MkAbs("pen.log")
	log, err := os.Create(w.log)
	ts.Check(err)
	w.pen = exec.Command(program(ts, "pen"), append([]string{"-f", "-C", ctl, "-O", "plane " + w.plane, w.listen}, args...)...)
	w.pen.Dir = ts.MkAbs(".")
	w.pen.Stdout, w.pen.Stderr = log, log
	ts.Check(w.pen.Start())
	w.penDone = make(chan error, 1)
	go func() { w.penDone <- w.pen.Wait() }()
	testenv.Eventually(ts, "Pen at "+w.listen, func() bool {
		return strings.Contains(lab.ReadFile(w.log), "listening") || hasEnded(w)
	})
	if hasEnded(w) {
		ts.Fatalf("Pen ended: %s", lab.ReadFile(w.log))
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

// ended [CODE] waits until Pen has ended, and checks its exit code, 0 by default.
func penEnded(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	testenv.Eventually(ts, "Pen's end", func() bool { return hasEnded(w) })
	want := "0"
	if len(args) > 0 {
		want = args[0]
	}
	if got := strconv.Itoa(w.pen.ProcessState.ExitCode()); got != want {
		ts.Fatalf("exit code %s, want %s: %s", got, want, lab.ReadFile(w.log))
	}
}

// logged TEXT waits until Pen's log contains a text. ! logged TEXT stops Pen, so that
// its log is complete, and checks that it does not contain the text.
func logged(ts *testscript.TestScript, neg bool, args []string) {
	has := func() bool { return strings.Contains(lab.ReadFile(worldOf(ts).log), args[0]) }
	if neg {
		signalPen(ts, false, []string{"TERM"})
		penEnded(ts, false, nil)
		if has() {
			ts.Fatalf("the log says %q: %s", args[0], lab.ReadFile(worldOf(ts).log))
		}
		return
	}
	testenv.Eventually(ts, fmt.Sprintf("%q in the log", args[0]), has)
}

// ctl COMMAND... runs penctl; its output can be checked with stdout.
func ctl(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("penctl", append([]string{ts.MkAbs("ctl")}, args...)...))
}

// eventually COMMAND... -- TEXT runs a penctl command until its reply contains
// a text.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	cmd, text, ok := strings.Cut(strings.Join(args, " "), " -- ")
	if !ok {
		ts.Fatalf("usage: eventually COMMAND... -- TEXT")
	}
	var reply string
	testenv.Eventually(ts, fmt.Sprintf("%q in the reply to %s", text, cmd), func() bool {
		out, _ := exec.Command(lab.Program(ts, "penctl"), append([]string{ts.MkAbs("ctl")}, strings.Fields(cmd)...)...).Output()
		reply = string(out)
		return strings.Contains(reply, text)
	})
}

// until COMMAND runs a shell command until it succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	testenv.Eventually(ts, strings.Join(args, " "), func() bool { return ts.Exec("sh", "-c", strings.Join(args, " ")) == nil })
}

// endpid FILE terminates the process of a pid file and waits until it has ended.
func endPid(ts *testscript.TestScript, neg bool, args []string) {
	pid, err := strconv.Atoi(strings.TrimSpace(ts.ReadFile(args[0])))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	testenv.Eventually(ts, "the end of "+args[0], func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}
