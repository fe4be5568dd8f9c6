package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxClients bounds the client table, which takes 4 bytes for each place at
// once and about 110 for each client.
const maxClients = 10_000_000

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
		moded(boolean("hash", "h", "hash", "choose a new client's server by its address", func(c *Config) *bool { return &c.Hash })),
		boolean("keepalive", "", "keepalive", "probe servers that are silent, to notice dead ones", func(c *Config) *bool { return &c.KeepAlive }),
		moded(boolean("prio", "", "prio", "choose the server with the lowest prio", func(c *Config) *bool { return &c.Prio })),
		moded(boolean("roundrobin", "r", "roundrobin", "do not use the client table to choose", func(c *Config) *bool { return &c.RoundRobin })),
		moded(boolean("stubborn", "s", "stubborn", "no failover: if the chosen server is not there, close", func(c *Config) *bool { return &c.Stubborn })),
		boolean("transparent", "", "transparent", "connect to servers from the client's address; needs routes, see docs/transparent.md", func(c *Config) *bool { return &c.Transparent }),
		boolean("udp", "U", "udp", "balance datagrams: UDP, or a Unix socket's", func(c *Config) *bool { return &c.UDP }),
		moded(boolean("weight", "W", "weight", "choose the server with the fewest connections for its weight", func(c *Config) *bool { return &c.Weight })),

		period("blacklist", "b", "blacklist", "how long a failed server is left alone", 0, func(c *Config) *time.Duration { return &c.Blacklist }),
		sentence("Idle timeout: %s seconds", period("idle_timeout", "", "idle-timeout", "close connections that moved nothing for so long; 0: never", 0, func(c *Config) *time.Duration { return &c.IdleTimeout })),
		period("timeout", "t", "timeout", "how long a server may take to accept a connection", time.Millisecond, func(c *Config) *time.Duration { return &c.Timeout }),
		period("tracking", "T", "tracking", "how long a client is remembered; 0: for ever", 0, func(c *Config) *time.Duration { return &c.Tracking }),

		integer("backlog", "q", "backlog", "connections that may wait to be accepted; 0: what the kernel allows", 0, maxInt, func(c *Config) *int { return &c.Backlog }),
		integer("clients_max", "c", "clients", "clients that are remembered", 1, maxClients, func(c *Config) *int { return &c.ClientsMax }),
		integer("conn_max", "x", "connections", "connections at a time; 0: what the descriptors allow", 0, maxInt, func(c *Config) *int { return &c.ConnMax }),
		global(integer("debug", "", "", "more detail in the log; from 3 on all communication", 0, maxInt, func(c *Config) *int { return &c.Debug })),
		integer("idlers", "", "idlers", "connections to servers that are kept ready for the next clients", 0, maxIdlers, func(c *Config) *int { return &c.Idlers }),
		integer("multi_accept", "m", "multi-accept", "connections to accept in one go, for planes that do", 0, maxInt, func(c *Config) *int { return &c.MultiAccept }),
		quiet(integer("pending_max", "", "pending", "connects that may be under way at a time; more clients wait; 0: no limit", 0, maxInt, func(c *Config) *int { return &c.PendingMax })),
		integer("client_acl", "", "client-acl", "number of the access list for clients", 0, ACLCount-1, func(c *Config) *int { return &c.ClientACL }),

		global(text("chroot", "DIR", "j", "chroot", "folder to make the root, once everything listens", func(c *Config) *string { return &c.Chroot })),
		global(text("geoip_db", "FILE", "", "geoip-db", "MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder", func(c *Config) *string { return &c.GeoIPDB })),
		{
			Name: "listen", Args: "[[HOST:]PORT|PATH...]", Long: "listen", several: true, Negatable: true, most: many, Help: "address for clients, or several",
			set: setListen, show: func(c Config) string { return c.Listen }, save: saveText("listen", func(c *Config) *string { return &c.Listen }),
		},
		{
			Name: "protocol", Args: "[tcp|udp]", Long: "protocol", most: 1, Help: "what is balanced; udp is the same as -U", set: setProtocol,
			show: func(c Config) string { return map[bool]string{false: "tcp", true: "udp"}[c.UDP] },
		},
		named(text("table", "NAME", "", "table", "client table to share with the services that name the same one", func(c *Config) *string { return &c.Table })),
		global(text("log", "FILE|HOST:PORT", "l", "log", "where to log requests: a file, or penlogd's address", func(c *Config) *string { return &c.Log })),
		global(text("pidfile", "FILE", "p", "pidfile", "file for the process id", func(c *Config) *string { return &c.PidFile })),
		global(text("user", "USER", "u", "user", "user to run as", func(c *Config) *string { return &c.User })),
		global(text("web_stats", "FILE", "w", "web-stats", "file for the status page, written at USR1", func(c *Config) *string { return &c.WebStats })),

		emergency(),
		lastResort("abuse", "B", "server for clients that the access list denies", func(c *Config) *Server { return &c.Abuse }),
		{
			Name: "source", Args: "IP", Long: "source", Negatable: true, most: 1, Help: "local address for connections to servers",
			set: setSource, save: saveText("source", func(c *Config) *string { return &c.Source }),
		},
		{
			Name: "tcp_fastclose", Args: "[up|down|both|off]", Long: "tcp-fastclose", quiet: true, Negatable: true, most: 1, set: setFastClose,
			Help: "end a connection when its server (up), its client (down) or either one (both) has ended",
			show: func(c Config) string { return cmp.Or(c.FastClose, "off") },
			save: func(c Config) []string { return []string{"tcp_fastclose " + cmp.Or(c.FastClose, "off")} },
		},
		{
			Name: "plane", Args: "[auto|loop|stream]", Long: "plane", most: 1, set: setPlane,
			Help: "how connections are carried: by event loops (Linux), or by two goroutines each; auto takes loops where there are",
			show: func(c Config) string { return cmp.Or(c.Plane, "auto") },
			save: func(c Config) []string { return []string{"plane " + cmp.Or(c.Plane, "auto")} },
		},
		{
			Name: "acl", global: true, Args: "N [insert PLACE|replace] permit|deny ADDRESS[/LENGTH] [MASK]|country CC...", Negatable: true, noNeedsWord: true, saysMissing: true, most: many, mostNo: many, set: setACL,
			Help: "add an entry to an access list, at its end or before PLACE (from 0); replace: all at once by these entries; no acl N [ENTRY] empties it or takes one out", save: saveACLs,
		},
		{
			Name: "service", global: true, Args: "NAME [COMMAND]", Negatable: true, noNeedsWord: true, most: 1, mostNo: 1, set: setService,
			Help: "what follows in a file, or the command, is for that service; no service NAME ends it",
		},
		{
			Name: "server", Args: "N|N-M KEY VALUE...|remove", most: many, saysMissing: true, Help: "set a server's, or those of a range of slots: address, port, name, max, hard, weight, prio, acl, state; blacklist it for a time",
			set: func(c *Config, _ bool, args []string) error { return setServerCommand(c, args) }, save: saveServers,
		},
		{
			Name: "enable", Args: "N|N-M", most: 1, Help: "have a server take clients again, after drain or disable",
			set: func(c *Config, _ bool, args []string) error { return setState(c, args, Enabled) },
		},
		{
			Name: "drain", Args: "N|N-M [within TIME]", most: 3, Help: "have a server finish what it has and take nothing new; close what is left spread over the time",
			set: setDrain,
		},
		{
			Name: "disable", Args: "N|N-M", most: 1, Help: "have a server take no clients",
			set: func(c *Config, _ bool, args []string) error { return setState(c, args, Disabled) },
		},
	}
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

func setSource(c *Config, no bool, args []string) error {
	if no {
		c.Source = ""
		return nil
	}
	addr, err := parseAddr(args[0])
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
		return noneOf(word, "auto", "loop", "stream")
	}
	return nil
}

func setProtocol(c *Config, _ bool, args []string) error {
	switch args[0] {
	case "tcp", "udp":
		c.UDP = args[0] == "udp"
		return nil
	}
	return noneOf(args[0], "tcp", "udp")
}

func setFastClose(c *Config, no bool, args []string) error {
	if no {
		c.FastClose = ""
		return nil
	}
	switch word := args[0]; word {
	case "up", "down", "both":
		c.FastClose = word
	case "off":
		c.FastClose = ""
	default:
		return noneOf(word, "up", "down", "both", "off")
	}
	return nil
}

// lastResort is a server outside of the table.
func lastResort(name, short, help string, field func(*Config) *Server) Verb {
	return Verb{
		Name: name, Args: "HOST[:PORT[:MAX[:HARD]]]", Short: short, Long: name, Help: help, Negatable: true, most: 1,
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

// maxEmergency is how many servers of last resort there may be.
const maxEmergency = 16

// emergency is lastResort with more than one server, which are tried in turn.
func emergency() Verb {
	v := lastResort("emergency", "e", "servers for when no other one is there, tried in this order", func(c *Config) *Server { return &c.Emergency })
	first := v.set
	v.Args, v.most = "HOST[:PORT[:MAX[:HARD]]]...", maxEmergency
	v.set = func(c *Config, no bool, args []string) error {
		var more []string
		for _, word := range args[min(len(args), 1):] {
			s, err := parseServer(Server{}, word)
			if err != nil {
				return err
			}
			if s.Used() {
				more = append(more, s.spec())
			}
		}
		if err := first(c, no, args); err != nil {
			return err
		}
		if !c.Emergency.Used() && len(more) > 0 {
			c.Emergency, _ = parseServer(Server{}, more[0])
			more = more[1:]
		}
		c.MoreEmergency = strings.Join(more, " ")
		return nil
	}
	spec := func(c Config) string { return strings.TrimSpace(c.Emergency.spec() + " " + c.MoreEmergency) }
	v.show = spec
	v.save = func(c Config) []string {
		if !c.Emergency.Used() {
			return []string{"no emergency"}
		}
		return []string{"emergency " + spec(c)}
	}
	return v
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
