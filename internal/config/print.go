package config

import (
	"slices"
	"strconv"
	"strings"
)

// Print writes a Config as commands, one a line. To read them on top of the
// default gives the same Config, but for the name of the file.
func Print(c Config) string {
	first := &c.Services[0]
	var lines []string
	for _, v := range savedVerbs {
		if v.saved != ifSet || v.isSet(&c, first) {
			lines = append(lines, v.lines(&c, first)...)
		}
	}
	for i := range c.Services[1:] {
		s := &c.Services[1+i]
		lines = append(lines, "", "service "+s.Name)
		lines = append(lines, s.lines(&c)...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// isSet reports whether a setting differs from the default.
func (v Verb) isSet(c *Config, s *Service) bool {
	none := Default()
	return !slices.Equal(v.lines(c, s), v.lines(&none, &none.Services[0]))
}

// lines are the settings of a service that differ from the default.
func (s *Service) lines(c *Config) []string {
	var out []string
	for _, v := range savedVerbs {
		if v.Scope == OfService && v.isSet(c, s) {
			out = append(out, v.lines(c, s)...)
		}
	}
	return out
}

// CommandLine is how Pen would be started, as C Pen writes it into the files that
// it saves (specification, section 20): scripts look there for the control socket
// and, as the last word, for the address. What it leaves out, the file says.
func CommandLine(c Config) string {
	words, s := []string{"pen"}, &c.Services[0]
	add := func(is bool, option ...string) {
		if is {
			words = append(words, option...)
		}
	}
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	add(s.UDP, "-U")
	add(c.Foreground, "-f")
	add(c.ExitEnabled, "-X")
	add(s.ClientsMax != defaultService("").ClientsMax, "-c", strconv.Itoa(s.ClientsMax))
	add(s.ConnMax != 0, "-x", strconv.Itoa(s.ConnMax))
	if len(s.Emergency) > 0 {
		add(true, "-e", s.Emergency[0].spec())
	}
	add(s.Abuse.Used(), "-B", s.Abuse.spec())
	add(c.Chroot != "", "-j", quoted(c.Chroot))
	add(c.PidFile != "", "-p", quoted(c.PidFile))
	add(c.User != "", "-u", quoted(c.User))
	add(c.ConfigFile != "", "-F", quoted(c.ConfigFile))
	add(c.Control != "", "-C", c.Control)
	if all := s.Listeners(); len(all) > 0 {
		words = append(words, all[0])
	}
	return strings.Join(words, " ")
}
