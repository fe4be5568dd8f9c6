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
		boolean("abort_on_error", "", "", "end by SIGABRT, with a core, where an error keeps Pen from starting", func(g *Global) *bool { return &g.AbortOnErr }),
		boolean("ascii", "a", "ascii", "with -d -d -d, show the communication as text, not in hexadecimal", func(g *Global) *bool { return &g.ASCII }),
		boolean("dummy", "", "dummy", "answer every client with the same page, without a server", func(s *Service) *bool { return &s.Dummy }),
		boolean("exit_enabled", "X", "exit", "allow the exit command", func(g *Global) *bool { return &g.ExitEnabled }),
		boolean("foreground", "f", "foreground", "stay in the foreground, log to standard error", func(g *Global) *bool { return &g.Foreground }),
		moded(boolean("hash", "h", "hash", "choose a new client's server by its address", func(s *Service) *bool { return &s.Hash })),
		boolean("keepalive", "", "keepalive", "probe servers that are silent, to notice dead ones", func(s *Service) *bool { return &s.KeepAlive }),
		moded(boolean("prio", "", "prio", "choose the server with the lowest prio", func(s *Service) *bool { return &s.Prio })),
		moded(boolean("roundrobin", "r", "roundrobin", "do not use the client table to choose", func(s *Service) *bool { return &s.RoundRobin })),
		moded(boolean("stubborn", "s", "stubborn", "no failover: if the chosen server is not there, close", func(s *Service) *bool { return &s.Stubborn })),
		boolean("transparent", "", "transparent", "connect to servers from the client's address; needs routes, see docs/transparent.md", func(s *Service) *bool { return &s.Transparent }),
		boolean("udp", "U", "udp", "balance datagrams: UDP, or a Unix socket's", func(s *Service) *bool { return &s.UDP }),
		moded(boolean("weight", "W", "weight", "choose the server with the fewest connections for its weight", func(s *Service) *bool { return &s.Weight })),

		period("blacklist", "b", "blacklist", "how long a failed server is left alone", 0, func(s *Service) *time.Duration { return &s.Blacklist }),
		sentence("Idle timeout: %s seconds", period("idle_timeout", "", "idle-timeout", "close connections that moved nothing for so long; 0: never", 0, func(s *Service) *time.Duration { return &s.IdleTimeout })),
		period("timeout", "t", "timeout", "how long a server may take to accept a connection", time.Millisecond, func(s *Service) *time.Duration { return &s.Timeout }),
		period("tracking", "T", "tracking", "how long a client is remembered; 0: for ever", 0, func(s *Service) *time.Duration { return &s.Tracking }),

		integer("backlog", "q", "backlog", "connections that may wait to be accepted; 0: what the kernel allows", 0, maxInt, func(s *Service) *int { return &s.Backlog }),
		integer("clients_max", "c", "clients", "clients that are remembered", 1, maxClients, func(s *Service) *int { return &s.ClientsMax }),
		integer("conn_max", "x", "connections", "connections at a time; 0: what the descriptors allow", 0, maxInt, func(s *Service) *int { return &s.ConnMax }),
		integer("debug", "", "", "more detail in the log; from 3 on all communication", 0, maxInt, func(g *Global) *int { return &g.Debug }),
		integer("idlers", "", "idlers", "connections to servers that are kept ready for the next clients", 0, maxIdlers, func(s *Service) *int { return &s.Idlers }),
		integer("multi_accept", "m", "multi-accept", "connections to accept in one go, for planes that do", 0, maxInt, func(s *Service) *int { return &s.MultiAccept }),
		quiet(integer("pending_max", "", "pending", "connects that may be under way at a time; more clients wait; 0: no limit", 0, maxInt, func(s *Service) *int { return &s.PendingMax })),
		integer("client_acl", "", "client-acl", "number of the access list for clients", 0, ACLCount-1, func(s *Service) *int { return &s.ClientACL }),

		text("chroot", "DIR", "j", "chroot", "folder to make the root, once everything listens", func(g *Global) *string { return &g.Chroot }),
		text("geoip_db", "FILE", "", "geoip-db", "MaxMind DB file (.mmdb) for access lists by country, read again at HUP; with -j inside of its folder", func(g *Global) *string { return &g.GeoIPDB }),
		row(Verb{
			Name: "listen", Args: "[[HOST:]PORT|PATH...]", Long: "listen", several: true, Negatable: true, most: many, Help: "address for clients, or several",
		}, on[Service]{
			set: setListen, show: func(s *Service) string { return s.Listen }, save: saveText("listen", func(s *Service) *string { return &s.Listen }),
		}),
		row(Verb{
			Name: "protocol", Args: "[tcp|udp]", Long: "protocol", most: 1, Help: "what is balanced; udp is the same as -U",
		}, on[Service]{
			set: setProtocol, show: func(s *Service) string { return map[bool]string{false: "tcp", true: "udp"}[s.UDP] },
		}),
		named(text("table", "NAME", "", "table", "client table to share with the services that name the same one", func(s *Service) *string { return &s.Table })),
		text("log", "FILE|HOST:PORT", "l", "log", "where to log requests: a file, or penlogd's address", func(g *Global) *string { return &g.Log }),
		text("pidfile", "FILE", "p", "pidfile", "file for the process id", func(g *Global) *string { return &g.PidFile }),
		text("user", "USER", "u", "user", "user to run as", func(g *Global) *string { return &g.User }),
		text("web_stats", "FILE", "w", "web-stats", "file for the status page, written at USR1", func(g *Global) *string { return &g.WebStats }),

		emergency(),
		lastResort("abuse", "B", "server for clients that the access list denies", func(s *Service) *Server { return &s.Abuse }),
		row(Verb{
			Name: "source", Args: "IP", Long: "source", Negatable: true, most: 1, Help: "local address for connections to servers",
		}, on[Service]{
			set: setSource, save: saveText("source", func(s *Service) *string { return &s.Source }),
		}),
		row(Verb{
			Name: "tcp_fastclose", Args: "[up|down|both|off]", Long: "tcp-fastclose", quiet: true, Negatable: true, most: 1, Help: "end a connection when its server (up), its client (down) or either one (both) has ended",
		}, on[Service]{
			set: setFastClose, show: func(s *Service) string { return cmp.Or(s.FastClose, "off") }, save: func(s *Service) []string { return []string{"tcp_fastclose " + cmp.Or(s.FastClose, "off")} },
		}),
		row(Verb{
			Name: "plane", Args: "[auto|loop|stream]", Long: "plane", most: 1, Help: "how connections are carried: by event loops (Linux), or by two goroutines each; auto takes loops where there are",
		}, on[Service]{
			set: setPlane, show: func(s *Service) string { return cmp.Or(s.Plane, "auto") }, save: func(s *Service) []string { return []string{"plane " + cmp.Or(s.Plane, "auto")} },
		}),
		row(Verb{
			Name: "acl", Args: "N [insert PLACE|replace] permit|deny ADDRESS[/LENGTH] [MASK]|country CC...", Negatable: true, noNeedsWord: true, saysMissing: true, most: many, mostNo: many, Help: "add an entry to an access list, at its end or before PLACE (from 0); replace: all at once by these entries; no acl N [ENTRY] empties it or takes one out",
		}, on[Global]{
			set: setACL, save: saveACLs,
		}),
		row(Verb{
			Name: "service", Args: "NAME [COMMAND]", Negatable: true, noNeedsWord: true, most: 1, mostNo: 1, Help: "what follows in a file, or the command, is for that service; no service NAME ends it",
		}, on[Config]{
			set: setService,
		}),
		row(Verb{
			Name: "server", Args: "N|N-M KEY VALUE...|remove", most: many, saysMissing: true, Help: "set a server's, or those of a range of slots: address, port, name, max, hard, weight, prio, acl, state; blacklist it for a time",
		}, on[Service]{
			set: func(s *Service, _ bool, args []string) error { return setServerCommand(s, args) }, save: saveServers,
		}),
		row(Verb{
			Name: "enable", Args: "N|N-M", most: 1, Help: "have a server take clients again, after drain or disable",
		}, on[Service]{
			set: func(s *Service, _ bool, args []string) error { return setState(s, args, Enabled) },
		}),
		row(Verb{
			Name: "drain", Args: "N|N-M [within TIME]", most: 3, Help: "have a server finish what it has and take nothing new; close what is left spread over the time",
		}, on[Service]{
			set: setDrain,
		}),
		row(Verb{
			Name: "disable", Args: "N|N-M", most: 1, Help: "have a server take no clients",
		}, on[Service]{
			set: func(s *Service, _ bool, args []string) error { return setState(s, args, Disabled) },
		}),
	}
}

// setListen keeps several addresses as words of one value.
func setListen(s *Service, no bool, args []string) error {
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
	s.Listen = all
	return nil
}

func setSource(s *Service, no bool, args []string) error {
	if no {
		s.Source = ""
		return nil
	}
	addr, err := parseAddr(args[0])
	if err != nil {
		return fmt.Errorf("unable to set source address to '%s', want an IPv4 or IPv6 address", args[0])
	}
	s.Source = addr.Unmap().String()
	return nil
}

func setPlane(s *Service, _ bool, args []string) error {
	switch word := args[0]; word {
	case "loop", "stream":
		s.Plane = word
	case "auto":
		s.Plane = ""
	default:
		return noneOf(word, "auto", "loop", "stream")
	}
	return nil
}

func setProtocol(s *Service, _ bool, args []string) error {
	switch args[0] {
	case "tcp", "udp":
		s.UDP = args[0] == "udp"
		return nil
	}
	return noneOf(args[0], "tcp", "udp")
}

func setFastClose(s *Service, no bool, args []string) error {
	if no {
		s.FastClose = ""
		return nil
	}
	switch word := args[0]; word {
	case "up", "down", "both":
		s.FastClose = word
	case "off":
		s.FastClose = ""
	default:
		return noneOf(word, "up", "down", "both", "off")
	}
	return nil
}

// lastResort is a server outside of the table.
func lastResort(name, short, help string, field func(*Service) *Server) Verb {
	return row(Verb{
		Name: name, Args: "HOST[:PORT[:MAX[:HARD]]]", Short: short, Long: name, Help: help, Negatable: true, most: 1,
	}, on[Service]{
		set: func(service *Service, no bool, args []string) (err error) {
			var s Server
			if !no {
				s, err = parseServer(s, args[0])
			}
			if !s.Used() {
				s = Server{}
			}
			if err == nil {
				*field(service) = s
			}
			return err
		}, show: func(s *Service) string { return field(s).spec() }, save: func(s *Service) []string {
			if !field(s).Used() {
				return []string{"no " + name}
			}
			return []string{name + " " + field(s).spec()}
		},
	})
}

// maxEmergency is how many servers of last resort there may be.
const maxEmergency = 16

// emergency is lastResort with more than one server, which are tried in turn.
func emergency() Verb {
	v := lastResort("emergency", "e", "servers for when no other one is there, tried in this order", func(s *Service) *Server { return &s.Emergency })
	first := v.set
	v.Args, v.most = "HOST[:PORT[:MAX[:HARD]]]...", maxEmergency
	v.set = func(c *Config, s *Service, no bool, args []string) error {
		var more []string
		for _, word := range args[min(len(args), 1):] {
			next, err := parseServer(Server{}, word)
			if err != nil {
				return err
			}
			if next.Used() {
				more = append(more, next.spec())
			}
		}
		if err := first(c, s, no, args); err != nil {
			return err
		}
		if !s.Emergency.Used() && len(more) > 0 {
			s.Emergency, _ = parseServer(Server{}, more[0])
			more = more[1:]
		}
		s.MoreEmergency = strings.Join(more, " ")
		return nil
	}
	spec := func(s *Service) string { return strings.TrimSpace(s.Emergency.spec() + " " + s.MoreEmergency) }
	v.show = func(_ *Config, s *Service) string { return spec(s) }
	v.save = func(_ *Config, s *Service) []string {
		if !s.Emergency.Used() {
			return []string{"no emergency"}
		}
		return []string{"emergency " + spec(s)}
	}
	return v
}

func saveACLs(g *Global) []string {
	var lines []string
	for i, list := range g.ACLs {
		lines = append(lines, fmt.Sprintf("no acl %d", i))
		for _, e := range list {
			lines = append(lines, e.line(i))
		}
	}
	return lines
}

func saveServers(service *Service) []string {
	var lines []string
	for i, s := range service.Servers {
		if s != (Server{}) {
			lines = append(lines, s.line(i, service.Prio))
		}
	}
	return lines
}
