package config

import (
	"slices"
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
	"balance", "check", "chroot", "clients_max", "conn_max", "control", "dummy", "emergency", "exit_enabled", "foreground", "geoip_db",
	"http_forwarded", "http_trust", "idle_timeout", "idlers", "keepalive", "limit", "listen", "max_age", "multi_accept", "on_down", "outlier", "panic",
	"pending_max", "pidfile", "plane", "queue", "rebalance", "route", "send_proxy", "slow_start", "source", "ssl", "ssl_alpn", "ssl_ca_file",
	"ssl_ca_path", "ssl_certificate", "ssl_certificate_key", "ssl_ciphers", "ssl_ocsp_response", "ssl_protocol", "ssl_require_client", "ssl_sni_path",
	"table", "table_file", "tls", "tracking_prefix", "transparent", "udp", "user",
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
