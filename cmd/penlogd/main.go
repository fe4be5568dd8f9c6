// Penlogd writes one log for many web servers behind Pen: it takes their log
// lines (from penlog) and Pen's (from pen -l HOST:PORT) by UDP, and gives each
// line its real client (specification, section 22).
//
//	penlogd [OPTION]... PORT
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

type options struct {
	chroot, log, pidfile, user string
	size                       int
	debug, foreground, lines   bool
	port                       string
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args)
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		return fail(err)
	}
	if err != nil || o.port == "" || o.port == "0" {
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

func flags(o *options) *pflag.FlagSet {
	fs := pflag.NewFlagSet("penlogd", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	fs.StringVarP(&o.log, "log", "l", "", "append to `FILE`; standard output if none is given")
	fs.IntVarP(&o.size, "requests", "n", 1000, "remember `N` of Pen's requests")
	fs.BoolVarP(&o.lines, "line-buffered", "b", false, "write each line at once")
	fs.BoolVarP(&o.foreground, "foreground", "f", false, "stay in the foreground")
	fs.BoolVarP(&o.debug, "debug", "d", false, "say in the log what is dropped")
	fs.StringVarP(&o.pidfile, "pidfile", "p", "", "write the process id to `FILE`")
	fs.StringVarP(&o.user, "user", "u", "", "run as the user `NAME`")
	fs.StringVarP(&o.chroot, "chroot", "j", "", "make the folder `DIR` the root")
	return fs
}

func parse(args []string) (options, error) {
	var o options
	fs := flags(&o)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.port = fs.Arg(0)
	return o, nil
}

func usage() string {
	return "usage: penlogd [OPTION]... PORT\n\n" + flags(new(options)).FlagUsages()
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "penlogd:", err)
	return 1
}

// serve binds, gives up privileges, and serves until a signal ends it.
func serve(o options, logger *process.Logger, ready func() error) int {
	defer logger.Close()
	if o.debug {
		logger.Level.Set(slog.LevelDebug)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	conn, err := net.ListenPacket("udp", ":"+strings.TrimPrefix(o.port, ":"))
	if err != nil {
		return fail(err)
	}
	defer conn.Close()
	if err := process.Confine(o.chroot, o.user, false); err != nil {
		return fail(err)
	}
	out, err := openOutput(o.log)
	if err != nil {
		return fail(err)
	}
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
