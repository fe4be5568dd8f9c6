package config

import (
	"fmt"
	"slices"
	"strings"
)

// A Level is what a client of the control socket may do. Each one includes
// those below it; the zero Level is nothing.
type Level int

// The levels.
const (
	// View asks questions.
	View Level = iota + 1
	// Operate decides how clients are spread over the servers that there are.
	Operate
	// Admin decides where clients go, who may come, and where Pen listens.
	Admin
	// Local is what reads or writes files or runs programs. Only the Unix
	// control socket has it: no token gives it.
	Local
)

// levelNames are the words that a user may give.
var levelNames = map[string]Level{"view": View, "operate": Operate, "admin": Admin}

func (l Level) String() string {
	return [...]string{"none", "view", "operate", "admin", "local"}[l]
}

// parseLevel understands the name of a level that can be given to TCP clients.
func parseLevel(word string) (Level, error) {
	if l, ok := levelNames[word]; ok {
		return l, nil
	}
	return 0, fmt.Errorf("%q is none of view, operate, admin", word)
}

// levels says which level each verb needs. Every verb has to be here; one that
// is not needs Local. To ask for a setting's value needs no more than View.
var levels = map[string]Level{}

func init() {
	for level, names := range map[Level]string{
		View: `connection explain help mode pid recent servers services socket state status`,
		Operate: `balance blacklist close conn_max disable drain enable hash idle_timeout idlers keepalive limit max_age multi_accept on_down
			outlier panic pending_max prio queue rebalance roundrobin server slow_start stubborn tcp_fastclose timeout tracking tracking_prefix
			udp_per_packet udp_requests udp_responses udp_unproven weight
			block delayed_forward epoll kqueue poll select ssl_compatible tcp_nodelay ssl_client_renegotiation_interval`,
		Admin: `abort_on_error abuse accept_proxy acl agent ascii backlog check client_acl clients_max control_acl debug dsr_if dsr_ip dummy
			emergency exit http http_forwarded http_head http_trust listen peek plane protocol route send_proxy service source ssl_alpn ssl_ciphers ssl_option
			ssl_protocol table tarpit_acl transparent udp`,
		Local: `acme acme_ca acme_ca_root acme_email acme_storage agent_listen chroot control control_level control_token exit_enabled
			foreground geoip_db include log pidfile plan rollback ssl ssl_ca_file ssl_ca_path ssl_certificate ssl_certificate_key
			ssl_ocsp_response ssl_require_client ssl_sni_path table_file tls user web_stats write`,
	} {
		for name := range strings.FieldsSeq(names) {
			levels[name] = level
		}
	}
}

// operated are the keys of a server for which Operate is enough. To send
// clients elsewhere takes Admin.
var operated = []string{"blacklist", "hard", "max", "prio", "state", "weight"}

// harmless are the kinds of checks that only speak to servers.
var harmless = []string{
	"dns", "expect", "http", "https", "ldap", "mysql", "off", "postgresql", "redis", "script", "send", "smtp", "tcp", "tls", "udp",
}

// dumpLevel is the debug level from which what clients send is in the log.
const dumpLevel = 3

// Level is what a client of the control socket needs for the command.
func (cmd Command) Level() Level {
	if cmd.asks() {
		return View
	}
	level, ok := levels[cmd.Verb.Name]
	if !ok {
		return Local
	}
	switch cmd.Verb.Name {
	case "server":
		level = max(level, serverLevel(cmd.Args))
	case "emergency", "abuse", "listen":
		// A path is a file that is made, or a socket that only users of this
		// machine should reach.
		if strings.Contains(strings.Join(cmd.Args, ""), "/") {
			level = Local
		}
	case "check":
		if len(cmd.Args) > 0 && !slices.Contains(harmless, cmd.Args[0]) {
			level = Local
		}
	case "debug":
		if len(cmd.Args) > 0 {
			if n, err := parseInt("number", cmd.Args[0], 0, maxInt); err != nil || n >= dumpLevel {
				level = Local
			}
		}
	}
	return level
}

// serverLevel is what the keys of a server command need.
func serverLevel(args []string) Level {
	level := Operate
	for i := 1; i < len(args); i += 2 {
		if !slices.Contains(operated, args[i]) {
			level = Admin
		}
	}
	if strings.Contains(strings.Join(args, ""), "/") {
		return Local // see above
	}
	return level
}
