// Penlogd writes one log for many web servers behind Pen: it receives their log lines (from
// penlog) and Pen's (from pen -l HOST:PORT) over UDP, and replaces the client of each line
// by the real one (specification, section 22).
//
//	penlogd [OPTION]... [HOST:]PORT
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"pen/internal/process"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		return fail(err)
	}
	if err != nil || o.listen == "" || o.listen == "0" {
		fmt.Print(usage())
		return 0
	}
	if o.foreground {
		return serve(o, process.StartLogger(os.Stderr), func() error { return nil })
	}
	launch, isParent, err := process.Background()
	if err != nil {
		return fail(err)
	}
	if isParent {
		return launch.Wait()
	}
	return serve(o, process.StartSyslog("penlogd"), launch.Ready)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "penlogd:", err)
	return 1
}

// serve listens, drops privileges, and serves until a signal ends it.
func serve(o options, logger *process.Logger, ready func() error) int {
	defer logger.Close()
	if o.debug {
		logger.Level.Set(slog.LevelDebug)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	listen := o.listen
	if !strings.Contains(listen, ":") {
		listen = ":" + listen
	}
	conn, err := net.ListenPacket("udp", listen)
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	if err := process.Confine(o.chroot, o.user, false); err != nil {
		return fail(err)
	}
	file, err := openFile(o.log)
	if err != nil {
		return fail(err)
	}
	out := &output{w: file, log: logger.Logger}
	if o.pidfile != "" {
		remove, err := process.WritePid(o.pidfile)
		if err != nil {
			return fail(err)
		}
		defer remove()
	}
	if err := ready(); err != nil {
		return fail(err)
	}
	s := newServer(conn, out, o, logger.Logger)
	if err := s.serve(signals); err != nil {
		return fail(err)
	}
	return 0
}
