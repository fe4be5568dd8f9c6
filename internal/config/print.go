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
	for _, name := range saved {
		lines = append(lines, find(name).save(c)...)
	}
	lines = append(lines, changed(savedIfSet, c)...)
	_, names := scopes()
	for _, s := range c.Services {
		lines = append(lines, "", "service "+s.Name)
		lines = append(lines, changed(names, Config{Service: s})...)
	}
	return strings.Join(lines, "\n") + "\n"
}

// CommandLine is how Pen would be started, as C Pen writes it into the files that
// it saves (specification, section 20): scripts look there for the control socket
// and, as the last word, for the address. What it leaves out, the file says.
func CommandLine(c Config) string {
	words := []string{"pen"}
	add := func(is bool, option ...string) {
		if is {
			words = append(words, option...)
		}
	}
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	add(c.UDP, "-U")
	add(c.Foreground, "-f")
	add(c.ExitEnabled, "-X")
	add(c.ClientsMax != Default().ClientsMax, "-c", strconv.Itoa(c.ClientsMax))
	add(c.ConnMax != 0, "-x", strconv.Itoa(c.ConnMax))
	add(c.Emergency.Used(), "-e", c.Emergency.spec())
	add(c.Abuse.Used(), "-B", c.Abuse.spec())
	add(c.Chroot != "", "-j", quoted(c.Chroot))
	add(c.PidFile != "", "-p", quoted(c.PidFile))
	add(c.User != "", "-u", quoted(c.User))
	add(c.ConfigFile != "", "-F", quoted(c.ConfigFile))
	add(c.Control != "", "-C", c.Control)
	if all := c.Listeners(); len(all) > 0 {
		words = append(words, all[0])
	}
	return strings.Join(words, " ")
}

// changed are the lines of the settings that differ from the default.
func changed(names []string, c Config) []string {
	var lines []string
	for _, name := range names {
		v := find(name)
		if l := v.save(c); !slices.Equal(l, v.save(Default())) {
			lines = append(lines, l...)
		}
	}
	return lines
}
