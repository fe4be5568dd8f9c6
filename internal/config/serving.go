package config

import (
	"strconv"
	"strings"
)

const (
	// maxIdlers bounds what a slip of the finger costs servers.
	maxIdlers = 10_000
	// maxEmergency is how many servers of last resort there may be.
	maxEmergency = 16
)

// serving are the verbs of servers and of connections to them.
func serving() []Verb {
	server := on(setServerCommand, saveServers)
	server.try = tryServerCommand
	state := func(state State) does {
		return on(func(s *Service, _ bool, args []string) error { return setState(s, args, state) }, nil)
	}
	lastResort := kind[Server]{args: "HOST[:PORT[:MAX[:HARD]]]", parse: parseLastResort, write: Server.spec}
	return []Verb{
		{
			Name: "server", Args: "N|N-M KEY VALUE... | N remove", Level: Operate, saved: always, does: server,
			risk: risksOfServer, standIn: standInName,
			then: blacklists, missing: noKeys,
			Help:    "set keys of a server, or of those of a range of slots",
			More:    "A server is called by its slot or its name. remove empties the slot; its connections stay.",
			Example: "server 0 address 10.0.0.1 port 8080 weight 2", See: "servers state enable drain disable",
		},
		{
			Name: "enable", Args: "N|N-M", Level: Operate, does: state(Enabled), standIn: standInSlot,
			Help: "have a server take clients again, after drain or disable", Example: "enable 0", See: "drain disable",
		},
		{
			Name: "drain", Args: "N|N-M [within TIME]", Level: Operate, does: on(setDrain, nil), standIn: standInSlot, then: drains,
			Help: "stop new connections to a server",
			More: "Those that are open may finish; within closes what is left, evenly over TIME.", Example: "drain 0 within 5m",
			See: "enable disable",
		},
		{
			Name: "disable", Args: "N|N-M", Level: Operate, does: state(Disabled), standIn: standInSlot,
			Help: "have a server take no clients", Example: "disable 0", See: "enable drain",
		},
		{
			Name: "emergency", Args: "[HOST[:PORT[:MAX[:HARD]]]...]", most: maxEmergency, Short: "e", Long: "emergency", Negatable: true,
			Level: Admin, risk: paths,
			does: on(setEmergency, emergencies),
			Help: "servers for when no other one is available, in this order", Example: "emergency 10.0.0.9:80", See: "abuse",
		},
		{
			Name: "abuse", Short: "B", Long: "abuse", Negatable: true, Level: Admin, risk: paths,
			does: plain(lastResort, func(s *Service) *Server { return &s.Abuse }),
			Help: "server for clients that the access list denies", Example: "abuse 10.0.0.9:80", See: "client_acl emergency limit",
		},
		{
			Name: "source", Args: "IP", Long: "source", Negatable: true, Level: Admin,
			does: unasked(plain(address(), func(s *Service) *string { return &s.Source })),
			Help: "local address for connections to servers", Example: "source 10.0.0.2", See: "transparent",
		},
		{
			Name: "transparent", Long: "transparent", Negatable: true, Level: Admin,
			does: plain(flag(), func(s *Service) *bool { return &s.Transparent }),
			Help: "connect to servers from the client's address", More: "It needs routes: see docs/transparent.md.", Example: "transparent on",
			See: "source send_proxy",
		},
		{
			Name: "keepalive", Long: "keepalive", Negatable: true, Level: Operate,
			does: plain(flag(), func(s *Service) *bool { return &s.KeepAlive }),
			Help: "probe silent servers, to notice dead ones", Example: "keepalive on", See: "idle_timeout",
		},
		{
			Name: "idlers", Long: "idlers", Level: Operate, does: plain(number(0, maxIdlers), func(s *Service) *int { return &s.Idlers }),
			Help: "connections to servers that are kept ready for the next clients", Example: "idlers 10",
		},
	}
}

// unasked is a setting that does not answer when it is asked for, as in C Pen.
func unasked(d does) does {
	d.takes = strings.Trim(d.takes, "[]")
	return d
}

// parseLastResort understands a server outside of the table; 0.0.0.0 is none.
func parseLastResort(_, text string) (Server, error) {
	s, err := parseServer(Server{}, text)
	if !s.Used() {
		s = Server{}
	}
	return s, err
}

func setEmergency(s *Service, _ bool, args []string) error {
	var all []Server
	for _, word := range args {
		server, err := parseLastResort("", word)
		if err != nil {
			return err
		}
		if server.Used() {
			all = append(all, server)
		}
	}
	s.Emergency = all
	return nil
}

func emergencies(s *Service) []string {
	var out []string
	for _, server := range s.Emergency {
		out = append(out, server.spec())
	}
	return words(strings.Join(out, " "))
}

// risksOfServer is the risk of a server command: Admin to send clients elsewhere, and
// more to send them to a socket of this machine.
func risksOfServer(args []string) Level {
	level := paths(args)
	for i := 1; i < len(args); i += 2 {
		if k, ok := serverKey(args[i]); ok {
			level = max(level, k.level)
		} else {
			level = max(level, Admin)
		}
	}
	return level
}

// standInName gives c a server of the name that a command speaks of.
func standInName(c *Config, cmd Command) Command {
	server := Server{Host: "unknown"}
	if _, err := strconv.Atoi(cmd.Args[0]); err != nil && isName(cmd.Args[0]) {
		server.Name = cmd.Args[0]
	}
	c.Services[0].Servers = []Server{server}
	return cmd
}

// standInSlot gives c a server, and has the command speak of it whichever slot it
// means.
func standInSlot(c *Config, cmd Command) Command {
	cmd = standInName(c, cmd)
	slot, err := strconv.Atoi(cmd.Args[0])
	if _, _, isRange, rangeErr := slotRange(cmd.Args[0]); isRange && rangeErr == nil || err == nil && slot >= 0 {
		cmd.Args = append([]string{"0"}, cmd.Args[1:]...)
	}
	return cmd
}
