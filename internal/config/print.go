package config

import (
	"slices"
	"strconv"
	"strings"
)

// saved is the order in which write saves C Pen's settings (specification,
// section 20).
var saved = []string{
	"acl", "ascii", "blacklist", "client_acl", "control_acl", "debug", "hash", "http", "log", "roundrobin", "server", "stubborn", "tcp_fastclose",
	"timeout", "tracking", "web_stats", "weight", "prio",
}

// savedIfSet are the settings that C Pen has as options only, or not at all.
// They are saved where they differ from the default, so that a file does not
// speak against an option without need.
var savedIfSet = []string{
	"abort_on_error", "abuse", "accept_proxy", "acme", "acme_ca", "acme_ca_root", "acme_email", "acme_storage", "agent", "agent_listen", "backlog",
	"balance", "check", "chroot", "clients_max", "conn_max", "control", "control_level", "control_token", "dummy", "emergency", "exit_enabled", "foreground", "geoip_db",
	"http_forwarded", "http_head", "http_trust", "idle_timeout", "idlers", "keepalive", "limit", "listen", "max_age", "multi_accept", "on_down", "outlier", "panic",
	"pending_max", "pidfile", "plane", "queue", "rebalance", "route", "send_proxy", "slow_start", "source", "ssl", "ssl_alpn", "ssl_ca_file",
	"ssl_ca_path", "ssl_certificate", "ssl_certificate_key", "ssl_ciphers", "ssl_ocsp_response", "ssl_protocol", "ssl_require_client", "ssl_sni_path",
	"table", "table_file", "tls", "tracking_prefix", "transparent", "udp", "udp_per_packet", "udp_requests", "udp_responses",
	"udp_unproven", "user",
}

// Print writes a Config as commands, one a line. To read them on top of the
// default gives the same Config, but for the name of the file.
func Print(c Config) string {
	var lines []string
	first := &c.Services[0]
	for _, name := range saved {
		lines = append(lines, find(name).save(&c, first)...)
	}
	lines = append(lines, changed(savedIfSet, c, first)...)
	_, names := scopes()
	for i := range c.Services[1:] {
		s := &c.Services[1+i]
		lines = append(lines, "", "service "+s.Name)
		lines = append(lines, changed(names, c, s)...)
	}
	return strings.Join(lines, "\n") + "\n"
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
	add(s.Emergency.Used(), "-e", s.Emergency.spec())
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

// changed are the lines of the settings that differ from the default.
func changed(names []string, c Config, s *Service) []string {
	var lines []string
	none := Default()
	for _, name := range names {
		v := find(name)
		if l := v.save(&c, s); !slices.Equal(l, v.save(&none, &none.Services[0])) {
			lines = append(lines, l...)
		}
	}
	return lines
}
