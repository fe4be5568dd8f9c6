// Penlogd writes one log for many web servers behind Pen: it takes their log
// lines (from penlog) and Pen's (from pen -l HOST:PORT) by UDP, and gives each
// line its real client (specification, section 22).
//
//	penlogd [OPTION]... [HOST:]PORT
package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"pen/internal/process"
)

type options struct {
	chroot, log, pidfile, user string
	size                       int
	debug, foreground, lines   bool
	pens                       []netip.Prefix // of balancers; none: all
	listen                     string
}

// balancer reports whether an address may tell who the client of a request is.
func (o *options) balancer(addr netip.Addr) bool {
	return len(o.pens) == 0 || slices.ContainsFunc(o.pens, func(p netip.Prefix) bool { return p.Contains(addr) })
}

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
	fs.FuncP("pen", "P", "take Pen's lines from `NETWORK` only, such as 192.0.2.7 or 192.0.2.0/24; may be given several times", func(s string) error {
		p, err := network(s)
		o.pens = append(o.pens, p)
		return err
	})
	return fs
}

// network reads an address or a network.
func network(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is no network; want an address or a network such as 192.0.2.0/24", s)
	}
	return p.Masked(), nil
}

func parse(args []string) (options, error) {
	var o options
	fs := flags(&o)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	o.listen = fs.Arg(0)
	return o, nil
}

func usage() string {
	return "usage: penlogd [OPTION]... [HOST:]PORT\n\n" + flags(new(options)).FlagUsages()
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
