package config

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Kind is what a command does.
type Kind int

const (
	Setting  Kind = iota // changes the Config
	Action               // changes the state of what runs
	Question             // changes nothing
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

	global   bool // it is for all of Pen, not for one service
	flag     bool // a setting without a value: on, or with "no" off
	notBuilt bool
	// set applies a setting, or checks the arguments of the others.
	set func(c *Config, no bool, args []string) error
	// show is the value in force, as a reply gives it.
	show func(c Config) string
	// save writes what set would need to make the setting again.
	save func(c Config) []string
}

// value is what follows the verb where it is not asked for its value.
func (v Verb) value() string {
	if rest, ok := strings.CutPrefix(v.Args, "["); ok && strings.HasSuffix(rest, "]") {
		return rest[:len(rest)-1]
	}
	return v.Args
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
	table = slices.Concat(settings(), runtimeVerbs(), unused(), later())
	slices.SortFunc(table, func(a, b Verb) int { return strings.Compare(a.Name, b.Name) })
}

// maxIdlers bounds what a slip of the finger costs servers.
const maxIdlers = 10_000

// settings are the verbs that change the Config.
func settings() []Verb {
	return []Verb{
		global(boolean("abort_on_error", "", "", "end by SIGABRT, with a core, where an error keeps Pen from starting", func(c *Config) *bool { return &c.AbortOnErr })),
		global(boolean("ascii", "a", "ascii", "with -d -d -d, show the communication as text, not in hexadecimal", func(c *Config) *bool { return &c.ASCII })),
		boolean("dummy", "", "dummy", "answer every client with the same page, without a server", func(c *Config) *bool { return &c.Dummy }),
		global(boolean("exit_enabled", "X", "exit", "allow the exit command", func(c *Config) *bool { return &c.ExitEnabled })),
		global(boolean("foreground", "f", "foreground", "stay in the foreground, log to standard error", func(c *Config) *bool { return &c.Foreground })),
		boolean("hash", "h", "hash", "choose a new client's server by its address", func(c *Config) *bool { return &c.Hash }),
		boolean("keepalive", "", "keepalive", "probe servers that are silent, to notice dead ones", func(c *Config) *bool { return &c.KeepAlive }),
		boolean("prio", "", "prio", "choose the server with the lowest prio", func(c *Config) *bool { return &c.Prio }),
		boolean("roundrobin", "r", "roundrobin", "do not use the client table to choose", func(c *Config) *bool { return &c.RoundRobin }),
		boolean("stubborn", "s", "stubborn", "no failover: if the chosen server is not there, close", func(c *Config) *bool { return &c.Stubborn }),
		boolean("transparent", "", "transparent", "connect to servers from the client's address; needs routes, see docs/transparent.md", func(c *Config) *bool { return &c.Transparent }),
		boolean("udp", "U", "udp", "balance datagrams: UDP, or a Unix socket's", func(c *Config) *bool { return &c.UDP }),
		boolean("weight", "W", "weight", "choose the server with the fewest connections for its weight", func(c *Config) *bool { return &c.Weight }),

		duration("blacklist", "b", "blacklist", "how long a failed server is left alone", 0, func(c *Config) *time.Duration { return &c.Blacklist }),
		sentence("Idle timeout: %s seconds", duration("idle_timeout", "", "idle-timeout", "close connections that moved nothing for so long; 0: never", 0, func(c *Config) *time.Duration { return &c.IdleTimeout })),
		duration("timeout", "t", "timeout", "how long a server may take to accept a connection", time.Millisecond, func(c *Config) *time.Duration { return &c.Timeout }),
		duration("tracking", "T", "tracking", "how long a client is remembered; 0: for ever", 0, func(c *Config) *time.Duration { return &c.Tracking }),

		integer("backlog", "q", "backlog", "connections that may wait to be accepted; 0: what the kernel allows", 0, maxInt, func(c *Config) *int { return &c.Backlog }),
		integer("clients_max", "c", "clients", "clients that are remembered", 1, maxInt, func(c *Config) *int { return &c.ClientsMax }),
		integer("conn_max", "x", "connections", "connections at a time; 0: what the descriptors allow", 0, maxInt, func(c *Config) *int { return &c.ConnMax }),
		global(integer("debug", "", "", "more detail in the log; from 3 on all communication", 0, maxInt, func(c *Config) *int { return &c.Debug })),
		integer("idlers", "", "idlers", "connections to servers that are kept ready for the next clients", 0, maxIdlers, func(c *Config) *int { return &c.Idlers }),
		integer("multi_accept", "m", "multi-accept", "connections to accept in one go, for planes that do", 0, maxInt, func(c *Config) *int { return &c.MultiAccept }),
		silent(integer("pending_max", "", "pending", "connects that may be under way at a time; more clients wait; 0: no limit", 0, maxInt, func(c *Config) *int { return &c.PendingMax })),
		integer("client_acl", "", "client-acl", "number of the access list for clients", 0, ACLCount-1, func(c *Config) *int { return &c.ClientACL }),
		global(integer("control_acl", "", "control-acl", "number of the access list for the control socket", 0, ACLCount-1, func(c *Config) *int { return &c.ControlACL })),

		global(text("chroot", "DIR", "j", "chroot", "folder to make the root, once everything listens", func(c *Config) *string { return &c.Chroot })),
		global(text("control", "[HOST:]PORT|PATH", "C", "control", "address of the control socket", func(c *Config) *string { return &c.Control })),
		global(text("geoip_db", "FILE", "", "geoip-db", "MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder", func(c *Config) *string { return &c.GeoIPDB })),
		{
			Name: "listen", Args: "[[HOST:]PORT|PATH...]", Long: "listen", Negatable: true, Help: "address for clients, or several",
			set: setListen, show: func(c Config) string { return c.Listen }, save: saveText("listen", func(c *Config) *string { return &c.Listen }),
		},
		{
			Name: "protocol", Args: "[tcp|udp]", Long: "protocol", Help: "what is balanced; udp is the same as -U", set: setProtocol,
			show: func(c Config) string { return map[bool]string{false: "tcp", true: "udp"}[c.UDP] },
		},
		named(text("table", "NAME", "", "table", "client table to share with the services that name the same one", func(c *Config) *string { return &c.Table })),
		global(text("log", "FILE|HOST:PORT", "l", "log", "where to log requests: a file, or penlogd's address", func(c *Config) *string { return &c.Log })),
		global(text("pidfile", "FILE", "p", "pidfile", "file for the process id", func(c *Config) *string { return &c.PidFile })),
		global(text("user", "NAME", "u", "user", "user to run as", func(c *Config) *string { return &c.User })),
		global(text("web_stats", "FILE", "w", "web-stats", "file for the status page, written at USR1", func(c *Config) *string { return &c.WebStats })),

		lastResort("emergency", "e", "server for when no other one is there", func(c *Config) *Server { return &c.Emergency }),
		lastResort("abuse", "B", "server for clients that the access list denies", func(c *Config) *Server { return &c.Abuse }),
		{
			Name: "source", Args: "IP", Long: "source", Negatable: true, Help: "local address for connections to servers",
			set: setSource, save: saveText("source", func(c *Config) *string { return &c.Source }),
		},
		{
			Name: "tcp_fastclose", Args: "up|down|both|off", Long: "tcp-fastclose", set: setFastClose,
			Help: "end a connection when its server (up), its client (down) or either one (both) has ended",
			save: func(c Config) []string { return []string{"tcp_fastclose " + cmp.Or(c.FastClose, "off")} },
		},
		{
			Name: "plane", Args: "[auto|loop|stream]", Long: "plane", set: setPlane,
			Help: "how connections are carried: by event loops (Linux), or by two goroutines each; auto takes loops where there are",
			show: func(c Config) string { return cmp.Or(c.Plane, "auto") },
			save: func(c Config) []string { return []string{"plane " + cmp.Or(c.Plane, "auto")} },
		},
		{
			Name: "acl", global: true, Args: "N permit|deny ADDRESS[/LENGTH] [MASK]|country CC", Negatable: true, set: setACL,
			Help: "add an entry to an access list; no acl N empties it", save: saveACLs,
		},
		{
			Name: "service", global: true, Args: "NAME [COMMAND]", Negatable: true, set: setService,
			Help: "what follows in a file, or the command, is for that service; no service NAME ends it",
		},
		{
			Name: "server", Args: "N KEY VALUE...|remove", Help: "set a server's address, port, name, max, hard, weight, prio, acl, state; blacklist it for a time",
			set: func(c *Config, _ bool, args []string) error { return setServerCommand(c, args) }, save: saveServers,
		},
		{
			Name: "enable", Args: "N", Help: "have a server take clients again, after drain or disable",
			set: func(c *Config, _ bool, args []string) error { return setState(c, args, Enabled) },
		},
		{
			Name: "drain", Args: "N [within TIME]", Help: "have a server finish what it has and take nothing new; close what is left spread over the time",
			set: setDrain,
		},
		{
			Name: "disable", Args: "N", Help: "have a server take no clients",
			set: func(c *Config, _ bool, args []string) error { return setState(c, args, Disabled) },
		},
	}
}

// runtimeVerbs are actions and questions.
func runtimeVerbs() []Verb {
	return []Verb{
		{Name: "close", Kind: Action, Args: "[N]", Help: "end a connection"},
		{Name: "exit", global: true, Kind: Action, Help: "end Pen, if -X allows it"},
		{Name: "include", Kind: Action, Args: "FILE", Help: "run the commands in a file", set: words(1)},
		{Name: "write", global: true, Kind: Action, Args: "[FILE]", Help: "save all settings"},
		{Name: "connection", Kind: Question, Args: "N", Help: "a connection's state", set: words(1)},
		{Name: "help", global: true, Kind: Question, Args: "[COMMAND]", Help: "the list of commands, or what one of them does"},
		{Name: "mode", Kind: Question, Help: "how servers are chosen", show: Config.Mode},
		{Name: "pid", global: true, Kind: Question, Help: "the process id"},
		{Name: "recent", Kind: Question, Args: "[SECONDS]", Help: "clients seen in the last 300 seconds"},
		{Name: "servers", Kind: Question, Help: "the table of servers"},
		{Name: "services", global: true, Kind: Question, Help: "the services: name, addresses, servers, connections"},
		{Name: "socket", Kind: Question, Args: "N", Help: "the connection that a descriptor belongs to", set: words(1)},
		{Name: "status", Kind: Question, Help: "the status page"},
	}
}

// unused are words that are accepted and have no effect.
func unused() []Verb {
	var all []Verb
	for _, name := range []string{"block", "delayed_forward", "epoll", "kqueue", "poll", "select", "tcp_nodelay"} {
		v := Verb{Name: name, Negatable: true, flag: true, Unused: true, Help: "accepted, without effect", set: words(0)}
		if name == "poll" {
			v.Short, v.Long = "P", "poll"
		}
		all = append(all, v)
	}
	return all
}

// later are the verbs that are not built yet. Asking for what already is (no
// log) is accepted, so that files written by C Pen can be read.
func later() []Verb {
	var all []Verb
	for _, l := range []struct {
		name, args, short, long string
		off                     string              // the value that asks for what is
		show                    func(Config) string // where Pen replies
	}{
		{name: "dsr_if", args: "IF"},
		{name: "dsr_ip", args: "IP"},
		{name: "http", short: "H", long: "http"},
		{name: "ssl", args: "FILE", short: "E", long: "ssl"},
		{name: "ssl_ca_file", args: "FILE", short: "G", long: "ssl-ca-file"},
		{name: "ssl_ca_path", args: "DIR", short: "A", long: "ssl-ca-path"},
		{name: "ssl_certificate_key", args: "FILE", short: "K", long: "ssl-key"},
		{name: "ssl_ciphers", args: "LIST"},
		{name: "ssl_client_renegotiation_interval", args: "SECONDS"},
		{name: "ssl_compatible", short: "Z", long: "ssl-compatible"},
		{name: "ssl_ocsp_response", args: "FILE"},
		{name: "ssl_option", args: "OPTION"},
		{name: "ssl_protocol", args: "PROTOCOL", short: "L", long: "ssl-protocol"},
		{name: "ssl_require_client", short: "R", long: "ssl-require-client"},
		{name: "ssl_sni_path", args: "DIR"},
		{name: "tarpit_acl", args: "[N]", off: "-1", show: func(Config) string { return "tarpit_acl = -1" }},
	} {
		v := Verb{
			Name: l.name, Args: l.args, Short: l.short, Long: l.long, Help: "not built yet",
			Negatable: true, flag: l.args == "", notBuilt: true, show: l.show,
		}
		v.set = func(_ *Config, no bool, args []string) error {
			if no || len(args) > 0 && args[0] == l.off {
				return nil
			}
			return notBuilt(l.name)
		}
		all = append(all, v)
	}
	return all
}

// notBuilt is the error for a verb or an option that is not built yet.
type notBuilt string

func (n notBuilt) Error() string { return "not built yet: " + string(n) }

// words checks that there are at least n arguments.
func words(n int) func(*Config, bool, []string) error {
	return func(_ *Config, _ bool, args []string) error {
		if len(args) < n {
			return errors.New("an argument is missing")
		}
		return nil
	}
}

func boolean(name, short, long, help string, field func(*Config) *bool) Verb {
	return Verb{
		Name: name, Short: short, Long: long, Help: help, Negatable: true, flag: true,
		set: func(c *Config, no bool, _ []string) error {
			*field(c) = !no
			return nil
		},
		save: func(c Config) []string { return []string{negated(!*field(&c), name)} },
	}
}

func duration(name, short, long, help string, least time.Duration, field func(*Config) *time.Duration) Verb {
	return Verb{
		Name: name, Args: "[TIME]", Short: short, Long: long, Help: help,
		set: func(c *Config, _ bool, args []string) error {
			d, err := ParseDuration(args[0])
			if err == nil && d < least {
				err = fmt.Errorf("%q is too short, want at least %s", args[0], formatDuration(least))
			}
			if err == nil {
				*field(c) = d
			}
			return err
		},
		show: func(c Config) string { return formatDuration(*field(&c)) },
		save: func(c Config) []string { return []string{name + " " + formatDuration(*field(&c))} },
	}
}

func integer(name, short, long, help string, least, most int, field func(*Config) *int) Verb {
	return Verb{
		Name: name, Args: "[N]", Short: short, Long: long, Help: help,
		set: func(c *Config, _ bool, args []string) error {
			what := "number"
			if strings.HasSuffix(name, "_acl") {
				what = "list"
			}
			n, err := parseInt(what, args[0], least, most)
			if err == nil {
				*field(c) = n
			}
			return err
		},
		show: func(c Config) string { return strconv.Itoa(*field(&c)) },
		save: func(c Config) []string { return []string{name + " " + strconv.Itoa(*field(&c))} },
	}
}

// silent is a setting that C Pen does not reply to.
func silent(v Verb) Verb {
	v.show = nil
	return v
}

func text(name, args, short, long, help string, field func(*Config) *string) Verb {
	return Verb{
		Name: name, Args: "[" + args + "]", Short: short, Long: long, Help: help, Negatable: true,
		set: func(c *Config, no bool, args []string) error {
			if no {
				*field(c) = ""
				return nil
			}
			if err := parseWord(args[0]); err != nil {
				return err
			}
			*field(c) = args[0]
			return nil
		},
		show: func(c Config) string { return *field(&c) },
		save: saveText(name, field),
	}
}

func saveText(name string, field func(*Config) *string) func(Config) []string {
	return func(c Config) []string {
		if *field(&c) == "" {
			return []string{"no " + name}
		}
		return []string{name + " " + *field(&c)}
	}
}

// global is a setting for all of Pen.
func global(v Verb) Verb {
	v.global = true
	return v
}

// named is a setting whose value is a name.
func named(v Verb) Verb {
	set := v.set
	v.set = func(c *Config, no bool, args []string) error {
		if !no && !isName(args[0]) {
			return fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", args[0], maxName)
		}
		return set(c, no, args)
	}
	return v
}

// setListen keeps several addresses as words of one value.
func setListen(c *Config, no bool, args []string) error {
	var words []string
	for _, word := range args {
		if err := parseWord(word); err != nil {
			return err
		}
		if !no && !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	all := strings.Join(words, " ")
	if len(all) > maxWord {
		return fmt.Errorf("%d bytes of addresses, want at most %d", len(all), maxWord)
	}
	c.Listen = all
	return nil
}

// sentence has a setting answer with a sentence around its value.
func sentence(format string, v Verb) Verb {
	value := v.show
	v.show = func(c Config) string { return fmt.Sprintf(format, value(c)) }
	return v
}

func setSource(c *Config, no bool, args []string) error {
	if no {
		c.Source = ""
		return nil
	}
	addr, err := netip.ParseAddr(args[0])
	if err != nil {
		return fmt.Errorf("unable to set source address to '%s', want an IPv4 or IPv6 address", args[0])
	}
	c.Source = addr.Unmap().String()
	return nil
}

func setPlane(c *Config, _ bool, args []string) error {
	switch word := args[0]; word {
	case "loop", "stream":
		c.Plane = word
	case "auto":
		c.Plane = ""
	default:
		return fmt.Errorf("%q is none of auto, loop, stream", word)
	}
	return nil
}

func setProtocol(c *Config, _ bool, args []string) error {
	switch args[0] {
	case "tcp", "udp":
		c.UDP = args[0] == "udp"
		return nil
	}
	return fmt.Errorf("%q is none of tcp, udp", args[0])
}

func setFastClose(c *Config, _ bool, args []string) error {
	switch word := args[0]; word {
	case "up", "down", "both":
		c.FastClose = word
	case "off":
		c.FastClose = ""
	default:
		return fmt.Errorf("%q is none of up, down, both, off", word)
	}
	return nil
}

// lastResort is a server outside of the table.
func lastResort(name, short, help string, field func(*Config) *Server) Verb {
	return Verb{
		Name: name, Args: "HOST[:PORT[:MAX[:HARD]]]", Short: short, Long: name, Help: help, Negatable: true,
		set: func(c *Config, no bool, args []string) (err error) {
			var s Server
			if !no {
				s, err = parseServer(s, args[0])
			}
			if !s.Used() {
				s = Server{}
			}
			if err == nil {
				*field(c) = s
			}
			return err
		},
		show: func(c Config) string { return field(&c).spec() },
		save: func(c Config) []string {
			if !field(&c).Used() {
				return []string{"no " + name}
			}
			return []string{name + " " + field(&c).spec()}
		},
	}
}

func saveACLs(c Config) []string {
	var lines []string
	for i, list := range c.ACLs {
		lines = append(lines, fmt.Sprintf("no acl %d", i))
		for _, e := range list {
			lines = append(lines, e.line(i))
		}
	}
	return lines
}

func saveServers(c Config) []string {
	var lines []string
	for i, s := range c.Servers {
		if s != (Server{}) {
			lines = append(lines, s.line(i, c.Prio))
		}
	}
	return lines
}
