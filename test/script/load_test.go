package script_test

import (
	"bytes"
	"os/exec"
	"strconv"
	"strings"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"github.com/rogpeppe/go-internal/testscript"
)

// load RATE starts RATE connections a second to Pen, counted from now on.
// load -unmarked RATE counts only after the next killserver.
func startLoad(ts *testscript.TestScript, _ bool, args []string) {
	unmarked := args[0] == "-unmarked"
	if unmarked {
		args = args[1:]
	}
	rate, err := strconv.Atoi(args[0])
	ts.Check(err)
	l := lab.NewLoad(worldOf(ts).listen, rate)
	if !unmarked {
		l.Count()
	}
	worldOf(ts).load = l
}

// endload MIN waits until at least MIN counted requests were made, stops the
// load, and fails if one of them did.
func endLoad(ts *testscript.TestScript, _ bool, args []string) {
	least, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	l := worldOf(ts).load
	testenv.Eventually(ts, args[0]+" requests were made", func() bool { return l.Counted() >= least })
	l.Stop()
	worldOf(ts).load = nil
	if l.Failed() > 0 {
		ts.Fatalf("%s; the log:\n%s", l.Result(), lab.ReadFile(worldOf(ts).log))
	}
	ts.Logf("%s", l.Result())
}

// A wrkLoad is a wrk that makes a new connection for each request, as fast as
// it can.
type wrkLoad struct {
	cmd  *exec.Cmd
	out  bytes.Buffer
	done chan error
}

// wrk SECONDS starts wrk against Pen.
func startWrk(ts *testscript.TestScript, _ bool, args []string) {
	w := &wrkLoad{done: make(chan error, 1)}
	w.cmd = exec.Command("wrk", "-t1", "-c50", "-d"+args[0], "-H", "Connection: close", "http://"+worldOf(ts).listen+"/")
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	ts.Check(w.cmd.Start())
	go func() { w.done <- w.cmd.Wait() }()
	worldOf(ts).wrk = w
}

// endwrk waits for wrk's end, prints its output, and fails if it had errors.
func endWrk(ts *testscript.TestScript, _ bool, _ []string) {
	w := worldOf(ts).wrk
	err := <-w.done
	worldOf(ts).wrk = nil
	ts.Check(err)
	ts.Logf("%s", w.out.String())
	for _, bad := range []string{"Socket errors", "Non-2xx"} {
		if strings.Contains(w.out.String(), bad) {
			ts.Fatalf("wrk had errors; the log:\n%s", lab.ReadFile(worldOf(ts).log))
		}
	}
	if !strings.Contains(w.out.String(), "Requests/sec") {
		ts.Fatalf("wrk did not finish")
	}
}
