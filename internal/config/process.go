package config

import (
	"strings"
	"time"
)

// running are the verbs of the process and its logs.
func running() []Verb {
	return []Verb{
		{
			Name: "foreground", Short: "f", Long: "foreground", Negatable: true, Level: Local, When: AtStart,
			does: plain(flag(), func(g *Global) *bool { return &g.Foreground }),
			Help: "stay in the foreground, and log to standard error", Example: "foreground on",
		},
		{
			Name: "user", Short: "u", Long: "user", Negatable: true, Level: Local, When: AtStart,
			does: plain(word("USER"), func(g *Global) *string { return &g.User }), Help: "user to run as", Example: "user pen", See: "chroot",
		},
		{
			Name: "chroot", Short: "j", Long: "chroot", Negatable: true, Level: Local, When: AtStart,
			does: plain(word("DIR"), func(g *Global) *string { return &g.Chroot }),
			Help: "folder to make the root, once everything listens", Example: "chroot /var/empty", See: "user",
		},
		{
			Name: "pidfile", Short: "p", Long: "pidfile", Negatable: true, Level: Local, When: AtStart,
			does: plain(word("FILE"), func(g *Global) *string { return &g.PidFile }), Help: "file for the process id",
			Example: "pidfile /run/pen.pid", See: "pid",
		},
		{
			Name: "log", Short: "l", Long: "log", Negatable: true, Level: Local, saved: always,
			does: plain(word("FILE|HOST:PORT"), func(g *Global) *string { return &g.Log }),
			Help: "where to log requests: a file, or the address of penlogd", Example: "log /var/log/pen/requests",
		},
		{
			Name: "web_stats", Short: "w", Long: "web-stats", Negatable: true, Level: Local, saved: always,
			does: plain(word("FILE"), func(g *Global) *string { return &g.WebStats }),
			Help: "file for the status page, written at USR1", Example: "web_stats /var/www/pen.html", See: "status",
		},
		{
			Name: "debug", Level: Admin, saved: always, risk: risksOfDebug, does: plain(number(0, maxInt), func(g *Global) *int { return &g.Debug }),
			Help: "more detail in the log; from 3 on all communication", Example: "debug 1", See: "ascii",
		},
		{
			Name: "ascii", Short: "a", Long: "ascii", Negatable: true, Level: Admin, saved: always,
			does: plain(flag(), func(g *Global) *bool { return &g.ASCII }),
			Help: "with debug 3, show the communication as text, not in hexadecimal", Example: "ascii on", See: "debug",
		},
		{
			Name: "abort_on_error", Negatable: true, Level: Admin, does: plain(flag(), func(g *Global) *bool { return &g.AbortOnErr }),
			Help: "end by SIGABRT, with a core, where an error keeps Pen from starting", Example: "abort_on_error on",
		},
		{
			Name: "exit", Kind: Action, Level: Admin, does: does{Scope: OfPen},
			Help: "end Pen, if exit_enabled allows it", Example: "exit", See: "exit_enabled",
		},
		{Name: "pid", Kind: Question, Level: View, does: does{Scope: OfPen}, Help: "show the process id", Example: "pid"},
	}
}

// configuring are the verbs of the configuration as a whole.
func configuring() []Verb {
	pen := does{Scope: OfPen}
	return []Verb{
		{
			Name: "include", Kind: Action, Level: Local, Args: "FILE", includes: true,
			Help: "run the commands in a file, all or none of them", Example: "include /etc/pen/servers.conf",
		},
		{
			Name: "plan", Kind: Question, Level: Local, Args: "FILE", does: pen,
			Help: "show what reading a file would change", More: "And how many clients would lose their server.", Example: "plan /etc/pen/pen.conf", See: "rollback",
		},
		{
			Name: "rollback", Kind: Action, Level: Local, does: pen,
			Help: "take the last change of the configuration back, then the one before it", Example: "rollback", See: "plan",
		},
		{
			Name: "write", Kind: Action, Level: Local, Args: "[FILE]", does: pen,
			Help: "save all settings", More: "By default to the file that was read.", Example: "write /etc/pen/pen.conf",
		},
		{
			Name: "help", Kind: Question, Level: View, Args: "[COMMAND]", does: pen,
			Help: "list the commands, or say what one of them does", Example: "help server",
		},
	}
}

// asking are questions about what runs.
func asking() []Verb {
	return []Verb{
		{
			Name: "services", Kind: Question, Level: View, does: does{Scope: OfPen},
			Help: "list the services: name, addresses, servers, connections", Example: "services", See: "service",
		},
		{Name: "servers", Kind: Question, Level: View, Help: "list the table of servers", Example: "servers", See: "state server"},
		{Name: "state", Kind: Question, Level: View, Help: "show the state of each server, and the reason for it", Example: "state", See: "servers check"},
		{Name: "status", Kind: Question, Level: View, Help: "show the status page", Example: "status", See: "web_stats"},
		{Name: "recent", Kind: Question, Level: View, Args: "[SECONDS]", Help: "list the clients seen in the last 300 seconds", Example: "recent 60"},
		{
			Name: "explain", Kind: Question, Level: View, Args: "ADDRESS[:PORT]",
			Help: "show where a new connection of that client would go, and why", Example: "explain 192.0.2.7", See: "state",
		},
		{Name: "connection", Kind: Question, Level: View, Args: "N", Help: "show a connection's state", Example: "connection 3", See: "close socket"},
		{
			Name: "socket", Kind: Question, Level: View, Args: "N",
			Help: "show the connection that a descriptor belongs to", Example: "socket 12", See: "connection",
		},
		{Name: "close", Kind: Action, Level: Operate, Args: "[N]", Help: "close a connection", Example: "close 3", See: "connection"},
	}
}

// unused are words that are accepted and have no effect.
func unused() []Verb {
	accepted := func(name, short string) Verb {
		d := plain(flag(), func(s *Service) *bool { return new(bool) })
		d.takes, d.values = "", nil
		v := Verb{Name: name, Short: short, Level: Operate, Negatable: true, Unused: true, does: d, Help: "accepted, without effect", Example: name}
		if short != "" {
			v.Long = strings.ReplaceAll(name, "_", "-")
		}
		return v
	}
	return []Verb{
		accepted("block", ""), accepted("delayed_forward", ""), accepted("epoll", ""), accepted("kqueue", ""), accepted("poll", "P"),
		accepted("select", ""), accepted("ssl_compatible", "Z"), accepted("tcp_nodelay", ""),
		{
			Name: "ssl_client_renegotiation_interval", Args: "SECONDS", Level: Operate, Unused: true,
			does: unasked(plain(period(0), func(*Service) *time.Duration { return new(time.Duration) })), saved: notSaved,
			Help: "accepted, without effect: clients can't renegotiate", Example: "ssl_client_renegotiation_interval 60",
		},
	}
}

// later are the verbs that are not built yet. To ask for what already is, as in
// no dsr_if, is accepted, so that files written by C Pen can be read.
func later() []Verb {
	absent := func(name, args string) Verb {
		return Verb{Name: name, Args: args, Level: Admin, Negatable: true, notBuilt: true, does: on(func(_ *Service, no bool, args []string) error {
			if no || name == "tarpit_acl" && len(args) > 0 && args[0] == "-1" {
				return nil
			}
			return notBuilt(name)
		}, nil), Help: "not built yet", Example: "no " + name}
	}
	tarpit := absent("tarpit_acl", "[N]")
	tarpit.values, tarpit.saved = func(*Config, *Service) []string { return words("-1") }, notSaved
	tarpit.reply = "tarpit_acl = %s" // without an end of line, as in Pen
	return []Verb{absent("dsr_if", "IF"), absent("dsr_ip", "IP"), absent("peek", ""), tarpit}
}
