// Pendemo shows Pen on one machine: it starts three small web servers and a Pen in front of
// them, prints what to try, and stops them all on Ctrl-C.
//
//	pendemo [-pen bin/pen] [-listen HOST:PORT] [-servers HOST:PORT,...]
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

type options struct {
	pen     string // path of the program
	listen  string
	servers []string
}

func main() {
	if name := os.Getenv(serverEnv); name != "" {
		os.Exit(serve(name))
	}
	var o options
	var servers string
	flag.StringVar(&o.pen, "pen", "bin/pen", "the `program` to show")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8080", "`address` where Pen listens")
	flag.StringVar(&servers, "servers", "127.0.0.1:8081,127.0.0.1:8082,127.0.0.1:8083", "`addresses` of the web servers")
	flag.Parse()
	o.servers = strings.Split(servers, ",")
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pendemo:", err)
		os.Exit(1)
	}
}

// run runs the demonstration until ctx is done or Pen exits by itself. When it returns, all
// processes that it started have ended.
func run(ctx context.Context, o options, out *os.File) error {
	dir, err := os.MkdirTemp("", "pendemo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	runtime.LockOSThread() // the children die with the thread that starts them
	defer runtime.UnlockOSThread()
	var all family
	defer all.end()

	ln, err := listenOn(o.listen, "-listen")
	if err != nil {
		return err
	}
	ln.Close() // the address is free; Pen will listen there
	listen := ln.Addr().String()
	control := filepath.Join(dir, "pen.ctl")
	args := []string{"-f", "-C", control, listen}
	for i, address := range o.servers {
		ln, err := listenOn(address, "-servers")
		if err != nil {
			return err
		}
		err = all.startServer(fmt.Sprintf("server %d", i+1), ln)
		ln.Close()
		if err != nil {
			return err
		}
		args = append(args, ln.Addr().String())
	}
	fmt.Fprintln(out, "Running", o.pen, strings.Join(args, " "))
	pen, err := all.startPen(o.pen, args, out)
	if err != nil {
		return fmt.Errorf("%w: build %s first, or name another program with -pen", err, o.pen)
	}
	pid, err := firstAnswer(ctx, listen, pen)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	invite(out, o.pen, listen, control, pid)
	select {
	case <-ctx.Done():
		return nil
	case <-pen.ended:
		return fmt.Errorf("%s has ended: %v", o.pen, pen.cmd.ProcessState)
	}
}

// listenOn listens on an address. Its error says which option to change.
func listenOn(address, option string) (*net.TCPListener, error) {
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", option, err)
	}
	ln, err := net.ListenTCP("tcp", at)
	if err != nil {
		return nil, fmt.Errorf("%w: stop what listens there, or choose another address with %s", err, option)
	}
	return ln, nil
}

// invite prints what to try next; pid is the process of the server to which the client
// 127.0.0.1 was sent.
func invite(out io.Writer, pen, listen, control, pid string) {
	penctl := filepath.Join(filepath.Dir(pen), "penctl")
	fmt.Fprintf(out, `
Pen listens on %[1]s. Try in another window:

  curl http://%[1]s/
  curl http://%[1]s/
      the same server answers both, since Pen remembers you
  curl --interface 127.0.0.2 http://%[1]s/
      another client, another server
  %[2]s %[3]s servers
  %[2]s %[3]s status
      what Pen knows about its servers, and about everything
  kill %[4]s
      ends the server that serves you; curl again, and another one takes over

Ctrl-C ends it all.
`, listen, penctl, control, pid)
}
