package config

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"pen/internal/check"
)

// ControlTokens are the files with the tokens of clients of a TCP control
// port, one for each level; "" is none.
type ControlTokens struct{ View, Operate, Admin string }

// of returns the field of a level.
func (t *ControlTokens) of(l Level) *string {
	return map[Level]*string{View: &t.View, Operate: &t.Operate, Admin: &t.Admin}[l]
}

// Files returns the files that are set, by level.
func (t ControlTokens) Files() map[Level]string {
	out := map[Level]string{}
	for _, l := range levelNames {
		if name := *t.of(l); name != "" {
			out[l] = name
		}
	}
	return out
}

// ControlDefault is what a client of a TCP control port may do without a
// token: what control_level says, or else nothing where there are tokens, and
// to operate where there are none.
func (g Global) ControlDefault() Level {
	switch {
	case g.ControlLevel != 0:
		return g.ControlLevel
	case g.ControlTokens != (ControlTokens{}):
		return 0
	}
	return Operate
}

// controlling are the verbs of the control socket and of its clients.
func controlling() []Verb {
	level := oneOf([]string{"view", "operate", "admin"}, []Level{View, Operate, Admin})
	return []Verb{
		{
			Name: "control", Short: "C", Long: "control", Negatable: true, Level: Local, When: AtStart, none: "(null)",
			does: plain(word("[HOST:]PORT|PATH"), func(g *Global) *string { return &g.Control }),
			Help: "address of the control socket; a port alone is on 127.0.0.1", Example: "control /run/pen/control",
			See: "control_acl control_level control_token",
		},
		{
			Name: "control_acl", Long: "control-acl", Level: Admin, saved: always,
			does: plain(list(), func(g *Global) *int { return &g.ControlACL }),
			Help: "number of the access list for the control socket", Example: "control_acl 2", See: "acl control",
		},
		{
			Name: "control_level", Long: "control-level", Negatable: true, Level: Local, When: AtStart, none: "off",
			does: plain(level, func(g *Global) *Level { return &g.ControlLevel }),
			Help: "what clients of a TCP control port may do without a token", More: "By default operate, or nothing where there are tokens.",
			Example: "control_level view", See: "control_token",
		},
		{
			Name: "control_token", Args: "[view|operate|admin FILE]", Long: "control-token", Negatable: true, Level: Local,
			When: AtStart, none: "off",
			does: on(setControlToken, saveControlTokens),
			Help: "file with tokens, one a line, for a level on a TCP control port", Example: "control_token admin /etc/pen/admin.token",
			See: "control_level",
		},
		{
			Name: "exit_enabled", Short: "X", Long: "exit", Negatable: true, Level: Local, When: AtStart,
			does: plain(flag(), func(g *Global) *bool { return &g.ExitEnabled }), Help: "allow the exit command", Example: "exit_enabled on",
			See: "exit",
		},
	}
}

func setControlToken(g *Global, no bool, args []string) error {
	if no {
		g.ControlTokens = ControlTokens{}
		return nil
	}
	level, err := parseLevel(args[0])
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return fmt.Errorf("want a file with the token: control_token %s FILE", level)
	}
	if err := parseWord(args[1]); err != nil {
		return err
	}
	*g.ControlTokens.of(level) = args[1]
	return nil
}

func saveControlTokens(g *Global) []string {
	var lines []string
	for level, name := range g.ControlTokens.Files() {
		lines = append(lines, fmt.Sprintf("%s %s", level, name))
	}
	slices.Sort(lines)
	return lines
}

// CheckControl reports a control port that other machines can reach, and that
// nothing guards.
func (g Global) CheckControl() error {
	switch {
	case g.Control == "", IsLoopback(g.Control), g.ControlTokens != (ControlTokens{}) && g.ControlLevel == 0:
		return nil
	case g.ControlACL == 0:
		// List 0 is that of clients and servers as well, and empty at first.
		return fmt.Errorf("control %s: other machines can reach it; want control_token LEVEL FILE, or control_acl N, from 1 on, "+
			"with a list of who may; a port alone is for this machine only", g.Control)
	case len(g.ACLs[g.ControlACL]) == 0:
		return fmt.Errorf("control %s: other machines can reach it, and access list %d, which control_acl names, is empty; "+
			"want entries such as acl %d permit 192.0.2.0/24, or control_token LEVEL FILE", g.Control, g.ControlACL, g.ControlACL)
	}
	return nil
}

// IsLoopback reports whether only this machine can reach an address of Pen's
// own: the path of a Unix socket, a port alone, or a host that is loopback.
func IsLoopback(addr string) bool {
	i := strings.LastIndexByte(addr, ':')
	if strings.Contains(addr, "/") || i < 0 {
		return true
	}
	host := strings.Trim(addr[:i], "[]")
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Programs returns the programs that a configuration runs.
func (c Config) Programs() []string {
	var out []string
	for _, s := range c.Services {
		if s.Check.Kind == check.Exec && !slices.Contains(out, s.Check.Arg) {
			out = append(out, s.Check.Arg)
		}
	}
	return out
}

// CheckPrograms reports a program that none of the others names.
func (c Config) CheckPrograms(others ...Config) error {
	var known []string
	for _, o := range others {
		known = append(known, o.Programs()...)
	}
	for _, name := range c.Programs() {
		if !slices.Contains(known, name) {
			return errors.New("check exec: the control socket can't name a new program; put the check into the configuration file and reload")
		}
	}
	return nil
}
