package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// An Invocation is what a command line asks for.
type Invocation struct {
	Base    Config    // options and operands
	Config  Config    // and on top of them, the configuration file
	Run     []Command // actions and questions, in order, once Pen has started
	Usage   bool      // print the usage
	Version bool      // print the version
	Check   bool      // check only
	// Misused says that the command line itself is wrong, not the file that it
	// names.
	Misused bool
	// Warnings are for options that have no effect any more.
	Warnings []string
}

// ParseArgs understands a command line without the program's name, as glibc's
// getopt does: options may follow operands, short ones may be bundled, values
// may be glued to them. Options and -O commands take effect in the order
// given, then the operands, then the file. It returns all errors that it finds.
func ParseArgs(args []string, open Opener) (Invocation, []error) {
	o := options{reader: reader{cfg: Default(), open: open, section: DefaultService}}
	fs := o.flags()
	if err := fs.Parse(args); err != nil {
		o.inv.Misused = true
		return o.inv, append(o.errs, fmt.Errorf("%w%s; pen --help lists the options", err, nearestOption(fs, err)))
	}
	if o.inv.Usage || o.inv.Version {
		return o.inv, nil
	}
	o.operands(fs.Args())
	o.inv.Misused = len(o.errs) > 0
	o.inv.Base = o.cfg
	o.cfg.own()
	if o.cfg.ConfigFile != "" {
		o.file(o.cfg.ConfigFile, "")
	}
	o.inv.Config, o.inv.Run = o.cfg, o.run
	if !o.cfg.Listens() && len(o.errs) == 0 && !o.inv.Check {
		err := ErrNoListener
		if o.cfg.ConfigFile == "" {
			o.inv.Misused, err = true, fmt.Errorf("%w; pen --help lists the options", err)
		}
		o.fail(o.cfg.ConfigFile, err)
	}
	return o.inv, o.errs
}

// ErrNoListener is the error for a configuration with which nothing would listen.
var ErrNoListener = errors.New("no address to listen on, want one as in: pen 80 www1 www2; or in a file a line such as: listen 80")

// nearestOption ends an error about an unknown long option.
func nearestOption(fs *pflag.FlagSet, err error) string {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return ""
	}
	var known []string
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if name := nearest(unknown.GetSpecifiedName(), known); name != "" && len(unknown.GetSpecifiedName()) > 1 {
		return "; did you mean --" + name + "?"
	}
	return ""
}

// options collects what the flags say. The embedded reader runs commands.
type options struct {
	reader
	inv Invocation
}

// operands are the listener's address, unless an option has said it, and the
// servers for slots 0, 1, 2 ...
func (o *options) operands(args []string) {
	if len(args) == 0 {
		return
	}
	if o.inv.Check && len(args) == 1 && o.cfg.ConfigFile == "" && o.isFile(args[0]) {
		o.cfg.ConfigFile = args[0] // --check FILE
		return
	}
	first := &o.cfg.Services[0]
	if first.Listen == "" {
		if err := parseWord(args[0]); err != nil {
			o.fail("listen address", err)
		}
		first.Listen = args[0]
	}
	for slot, spec := range args[1:] {
		s, err := parseServer(first.server(slot), spec)
		if err != nil {
			o.fail("", err)
			continue
		}
		first.setServer(slot, s)
	}
}

// isFile reports whether an operand is a file rather than an address.
func (o *options) isFile(name string) bool {
	if !strings.Contains(name, ":") && strings.ContainsAny(name, "./") {
		return true
	}
	f, err := o.open(name)
	if err == nil {
		f.Close()
	}
	return err == nil
}

// flags has an option for every verb that has a letter or a long name, and
// those that are no settings.
func (o *options) flags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("pen", pflag.ContinueOnError)
	fs.SortFlags = false
	fs.Usage = func() {}
	for i := range table {
		v := &table[i]
		if v.Long != "" {
			o.add(fs, v.Short, v.Long, v.flag, func(s string) { o.setting(v, s) })
		}
	}
	command := func(s string) {
		o.line(s, "-O")
		o.section = DefaultService // the next one says which service it is for
	}
	o.add(fs, "O", "command", false, command)
	o.add(fs, "o", "run", false, command)
	o.add(fs, "F", "config", false, func(s string) { o.cfg.ConfigFile = s })
	o.add(fs, "d", "debug", true, func(string) { o.cfg.Debug++ })
	o.add(fs, "N", "hash-untracked", true, func(string) {
		s := &o.cfg.Services[0]
		s.Hash, s.RoundRobin = true, true
	})
	o.add(fs, "V", "version", true, func(string) { o.inv.Version = true })
	o.add(fs, "", "help", true, func(string) { o.inv.Usage = true })
	o.add(fs, "", "check", true, func(string) { o.inv.Check = true })
	o.add(fs, "i", "install", false, func(string) { o.fail("-i", errors.New("Windows only")) })
	for letter, long := range map[string]string{"Q": "obsolete-Q", "D": "obsolete-D", "n": "obsolete-n", "S": "obsolete-S"} {
		o.add(fs, letter, long, letter != "S", func(string) {
			o.inv.Warnings = append(o.inv.Warnings, fmt.Sprintf("option -%s is obsolete and has no effect", letter))
		})
	}
	return fs
}

// setting applies an option through its verb.
func (o *options) setting(v *Verb, value string) {
	cmd := Command{Verb: v, Origin: "option --" + v.Long}
	if v.Short != "" {
		cmd.Origin = "option -" + v.Short
	}
	switch {
	case v.flag:
	case v.words.most > 1:
		cmd.Args = splitWords(value)
	default:
		cmd.Args = []string{value}
	}
	if err := cmd.checkWords(); err != nil {
		o.fail(cmd.Origin, err)
		return
	}
	o.command(cmd.withoutOff())
}

// add defines an option that calls f wherever it occurs.
func (o *options) add(fs *pflag.FlagSet, short, long string, flag bool, f func(string)) {
	fl := fs.VarPF(setter{flag, f}, long, short, "")
	if flag {
		fl.NoOptDefVal = given
	}
}

// given is what a flag is set to where it is given without a value.
const given = "given"

// A setter is an option's value that passes on what it is set to.
type setter struct {
	flag bool
	f    func(string)
}

func (o setter) Set(s string) error {
	if o.flag && s != given {
		return errors.New("it takes no value")
	}
	o.f(s)
	return nil
}
func (setter) String() string { return "" }
func (setter) Type() string   { return "" }
