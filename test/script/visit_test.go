package script_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"github.com/rogpeppe/go-internal/testscript"
)

// visit [-at ADDRESS] [-from IP] [-n COUNT] connects to Pen and prints the name of the
// server that answers, or "closed" without an answer; several on one line.
func visit(ts *testscript.TestScript, neg bool, args []string) {
	at := worldOf(ts).listen
	if len(args) >= 2 && args[0] == "-at" {
		at, args = args[1], args[2:]
	}
	from, n := visitFrom(ts, args)
	var names []string
	for range n {
		c, name := lab.Call(at, from)
		if c != nil {
			c.Close()
		}
		names = append(names, name)
	}
	fmt.Fprintln(ts.Stdout(), strings.Join(names, " "))
}

// tell [-from IP] TEXT sends Pen a text, with Go's escapes, and prints the answer.
func tell(ts *testscript.TestScript, neg bool, args []string) {
	from, _ := visitFrom(ts, args[:len(args)-1])
	text, err := strconv.Unquote(`"` + args[len(args)-1] + `"`)
	ts.Check(err)
	d := net.Dialer{Timeout: testenv.Limit, LocalAddr: from}
	c, err := d.Dial("tcp", worldOf(ts).listen)
	ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(testenv.Limit))
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

// hold NAME [-from IP] is a visit whose connection stays open.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	from, _ := visitFrom(ts, args[1:])
	c, name := lab.Call(worldOf(ts).listen, from)
	if c != nil {
		worldOf(ts).held[args[0]] = c
	}
	fmt.Fprintln(ts.Stdout(), name)
}

// drop NAME closes a held connection; drop -ended NAME waits until Pen has closed it.
func drop(ts *testscript.TestScript, neg bool, args []string) {
	w := worldOf(ts)
	if args[0] == "-ended" {
		c := w.held[args[1]]
		c.SetReadDeadline(time.Now().Add(testenv.Limit))
		if _, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
			ts.Fatalf("%s is still connected: %v", args[1], err)
		}
		return
	}
	w.held[args[0]].Close()
}

// gone ADDRESS waits until nobody listens there.
func gone(ts *testscript.TestScript, neg bool, args []string) {
	testenv.Eventually(ts, "the end of the listener at "+args[0], func() bool { return !lab.Reachable(args[0]) })
}
