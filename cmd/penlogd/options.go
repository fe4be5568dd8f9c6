package main

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/spf13/pflag"
)

type options struct {
	chroot, log, pidfile, user string
	size                       int
	debug, foreground, lines   bool
	pens                       []netip.Prefix // networks of balancers; none: all
	listen                     string
}

// balancer reports whether lines from an address may say who the client of a request is.
func (o *options) balancer(addr netip.Addr) bool {
	return len(o.pens) == 0 || slices.ContainsFunc(o.pens, func(p netip.Prefix) bool { return p.Contains(addr) })
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

// network parses an address or a network.
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
