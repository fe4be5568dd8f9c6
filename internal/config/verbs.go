package config

import (
	"slices"
	"strings"
)

// A Kind is what a command does.
type Kind int

const (
	Setting  Kind = iota // changes the Config
	Action               // changes the state of what runs
	Question             // changes nothing
)

// A Scope is what a command is about.
type Scope int

const (
	OfService Scope = iota // one service
	OfPen                  // all of Pen
)

// A Verb is a word of the command language.
type Verb struct {
	Name      string
	Args      string // what follows it, for help
	Help      string
	Kind      Kind
	Negatable bool   // "no NAME" is a command too
	Short     string // its option letter, if it has one
	Long      string // its long option
	Unused    bool   // accepted, without effect
	Scope     Scope  // what it is about

	flag        bool // a setting without a value: on, or with "no" off
	mode        bool // a flag that the mode command shows: by itself it is never a question
	quiet       bool // a setting that replies where it is asked only, as in C Pen
	several     bool // its value may be several words
	notBuilt    bool
	noNeedsWord bool // "no NAME" by itself is no command
	saysMissing bool // its set reports a word that is missing
	// most is how many words may follow the verb, mostNo how many may where
	// "no" stands before it.
	most, mostNo int
	does
}

// value is what follows the verb where it is not asked for its value.
func (v Verb) value() string {
	if rest, ok := strings.CutPrefix(v.Args, "["); ok && strings.HasSuffix(rest, "]") {
		return rest[:len(rest)-1]
	}
	return v.Args
}

// many is as many words as a line holds.
const many = maxLine

// optionValue is what follows the verb's option.
func (v Verb) optionValue() string {
	if v.flag {
		return ""
	}
	return v.value()
}

// usage is how the verb is written.
func (v Verb) usage() string {
	if v.flag {
		return v.Name + " [on|off]"
	}
	return strings.TrimSpace(v.Name + " " + v.value())
}

// verbNames are the names of all verbs.
func verbNames() []string {
	var all []string
	for _, v := range table {
		all = append(all, v.Name)
	}
	return all
}

// find returns a verb by its name, or nil.
func find(name string) *Verb {
	i, ok := slices.BinarySearchFunc(table, name, func(v Verb, name string) int { return strings.Compare(v.Name, name) })
	if !ok {
		return nil
	}
	return &table[i]
}

// table has all verbs in alphabetic order. It is made by init, since some of
// them refer to it.
var table []Verb

func init() {
	table = slices.Concat(settings(), balancing(), datagrams(), checking(), limiting(), securing(), edging(), controlling(), runtimeVerbs(), unused(), later())
	slices.SortFunc(table, func(a, b Verb) int { return strings.Compare(a.Name, b.Name) })
}

// runtimeVerbs are actions and questions.
func runtimeVerbs() []Verb {
	return []Verb{
		{Name: "close", Kind: Action, Args: "[N]", most: 1, Help: "end a connection"},
		{Name: "exit", Scope: OfPen, Kind: Action, Help: "end Pen, if -X allows it"},
		{Name: "include", Kind: Action, Args: "FILE", Help: "run the commands in a file", most: 1, does: does{set: words(1)}},
		{Name: "rollback", Scope: OfPen, Kind: Action, Help: "take the last change of the configuration back, then the one before it"},
		{Name: "plan", Scope: OfPen, Kind: Question, Args: "FILE", Help: "what reading a file would change, and how many clients would lose their server", most: 1, does: does{set: words(1)}},
		{Name: "write", Scope: OfPen, Kind: Action, Args: "[FILE]", most: 1, Help: "save all settings"},
		{Name: "connection", Kind: Question, Args: "N", Help: "a connection's state", most: 1, does: does{set: words(1)}},
		{Name: "explain", Kind: Question, Args: "ADDRESS[:PORT]", Help: "where a new connection of that client would go, and why", most: 1, does: does{set: words(1)}},
		{Name: "help", Scope: OfPen, Kind: Question, Args: "[COMMAND]", most: 1, Help: "the list of commands, or what one of them does"},
		row(Verb{Name: "mode", Kind: Question, Help: "how servers are chosen"}, on[Service]{show: (*Service).Mode}),
		{Name: "pid", Scope: OfPen, Kind: Question, Help: "the process id"},
		{Name: "recent", Kind: Question, Args: "[SECONDS]", most: 1, Help: "clients seen in the last 300 seconds"},
		{Name: "servers", Kind: Question, Help: "the table of servers"},
		{Name: "services", Scope: OfPen, Kind: Question, Help: "the services: name, addresses, servers, connections"},
		{Name: "socket", Kind: Question, Args: "N", Help: "the connection that a descriptor belongs to", most: 1, does: does{set: words(1)}},
		{Name: "state", Kind: Question, Help: "the state of each server, and the reason for it"},
		{Name: "status", Kind: Question, Help: "the status page"},
	}
}

// unused are words that are accepted and have no effect.
func unused() []Verb {
	var all []Verb
	for _, name := range []string{"block", "delayed_forward", "epoll", "kqueue", "poll", "select", "ssl_compatible", "tcp_nodelay"} {
		v := Verb{Name: name, Negatable: true, flag: true, Unused: true, most: 1, Help: "accepted, without effect", does: does{set: setUnused}}
		switch name {
		case "poll":
			v.Short, v.Long = "P", "poll"
		case "ssl_compatible":
			v.Short, v.Long = "Z", "ssl-compatible"
		}
		all = append(all, v)
	}
	return all
}

// setUnused takes what a flag takes, and does nothing.
func setUnused(_ *Config, _ *Service, no bool, args []string) error {
	_, err := switched(no, args)
	return err
}

// later are the verbs that are not built yet. Asking for what already is (no
// log) is accepted, so that files written by C Pen can be read.
func later() []Verb {
	var all []Verb
	for _, l := range []struct {
		name, args string
		off        string                         // the value that asks for what is
		show       func(*Config, *Service) string // where Pen replies
	}{
		{name: "dsr_if", args: "IF"},
		{name: "dsr_ip", args: "IP"},
		{name: "peek"},
		{name: "tarpit_acl", args: "[N]", off: "-1", show: func(*Config, *Service) string { return "tarpit_acl = -1" }},
	} {
		v := Verb{
			Name: l.name, Args: l.args, Help: "not built yet", Negatable: true, notBuilt: true, most: 1, does: does{show: l.show},
		}
		v.set = func(_ *Config, _ *Service, no bool, args []string) error {
			if no || len(args) > 0 && args[0] == l.off {
				return nil
			}
			return notBuilt(l.name)
		}
		all = append(all, v)
	}
	return all
}

// notBuilt is the error for a verb that is not built yet.
type notBuilt string

func (n notBuilt) Error() string { return "not built yet: " + string(n) }
