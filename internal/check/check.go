// Package check defines health checks: what each sends to a server, which replies it
// expects, and how results become a state. It is plain data and arithmetic; package health
// runs the checks.
package check

import (
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// A Kind is a kind of check.
type Kind string

// The kinds, with the arguments of each in a [Spec]'s text.
const (
	TCP        Kind = "tcp"        // a connection is accepted
	TLS        Kind = "tls"        // and a TLS handshake completed
	HTTP       Kind = "http"       // PATH: a request gets a status in the range
	HTTPS      Kind = "https"      // PATH: the same over TLS
	Send       Kind = "send"       // STRING expect STRING; or "expect STRING" for a server that speaks first
	Script     Kind = "script"     // send STRING and expect STRING in any order, several times
	SMTP       Kind = "smtp"       // a greeting, and a reply to EHLO
	MySQL      Kind = "mysql"      // a reply to a login, whether or not it succeeds
	PostgreSQL Kind = "postgresql" // likewise
	Redis      Kind = "redis"      // a reply to PING
	LDAP       Kind = "ldap"       // a reply to an anonymous bind
	UDP        Kind = "udp"        // send STRING expect STRING: the same with datagrams
	DNS        Kind = "dns"        // NAME: a reply without an error to a query for its address
	Exec       Kind = "exec"       // FILE: a program of the operator exits with status 0
	Agent      Kind = "agent"      // [send STRING]: what an agent on the server reports; see [ParseAgent]
	first           = "expect"     // the text of Send where nothing is sent
)

const kinds = "tcp, tls, http PATH, https PATH, smtp, mysql, postgresql, redis, ldap, send STRING expect STRING, expect STRING, " +
	"script STEPS, udp send STRING expect STRING, dns NAME, exec FILE or agent [send STRING]"

// otherNames are alternative names of kinds.
var otherNames = map[Kind]Kind{"postgres": PostgreSQL, "pgsql": PostgreSQL, "mariadb": MySQL}

// A Spec is a check. Equal ones are the same check, so a Spec can be the key of a map. The
// zero Spec is no check; [ParseSpec] makes them.
type Spec struct {
	Kind         Kind
	Arg          string        // PATH of http and https, NAME of dns, FILE of exec
	Send, Expect string        // bytes; of http and https: the request's body, and a part of the response's
	Steps        string        // of script, as [Spec.String] writes them; see [Spec.Script]
	Method       string        // of http and https
	Headers      string        // of http and https: lines, each with its end
	User         string        // of mysql and postgresql: a user who must be let in; "": any login may be refused
	ALPN         string        // of tls: protocols, separated by commas, one of which the server must choose
	Interval     time.Duration // from the start of one check to the start of the next
	Timeout      time.Duration // of one check, from connecting to the last byte
	Rise, Fall   int           // results in a row that make a server up, or down
	Port         int           // 0 is the server's own
	Host         string        // http and https: the Host header; tls: the server's name; smtp: the client's; "": the address
	StatusMin    int           // http and https: the range of
	StatusMax    int           // good status codes, both included
	Jitter       int           // how much an interval may vary, in percent
	Start        State         // before the first result; Unknown: the first result decides
	Verify       bool          // tls and https: the certificate must be valid
	DryRun       bool          // report, but have no effect
}

const (
	defaultInterval = 2 * time.Second
	defaultTimeout  = time.Second // or the interval, if that is shorter
	defaultJitter   = 10
	minStatus       = 200
	maxStatus       = 399
)

// defaults are the values of options that are not given; the timeout depends on the
// interval. One report of an agent is enough.
func defaults(k Kind) Spec {
	s := Spec{Kind: k, Interval: defaultInterval, Rise: 2, Fall: 3, Jitter: defaultJitter}
	switch k {
	case HTTP, HTTPS:
		s.StatusMin, s.StatusMax, s.Method = minStatus, maxStatus, "GET"
	case Agent:
		s.Rise, s.Fall = 1, 1
	}
	return s
}

func (s Spec) isHTTP() bool { return s.Kind == HTTP || s.Kind == HTTPS }

// IsTLS reports whether the check speaks TLS.
func (s Spec) IsTLS() bool { return s.Kind == TLS || s.Kind == HTTPS }

// IsDatagram reports whether the check sends datagrams.
func (s Spec) IsDatagram() bool { return s.Kind == UDP || s.Kind == DNS }

// String returns the check as ParseSpec reads it, in canonical form: defaults are left
// out.
func (s Spec) String() string {
	words := s.kindWords()
	option := func(key, value, byDefault string) {
		if value != byDefault {
			words = append(words, key, value)
		}
	}
	d := defaults(s.Kind)
	option("interval", duration.Format(s.Interval), duration.Format(d.Interval))
	option("timeout", duration.Format(s.Timeout), duration.Format(min(s.Interval, defaultTimeout)))
	option("rise", strconv.Itoa(s.Rise), strconv.Itoa(d.Rise))
	option("fall", strconv.Itoa(s.Fall), strconv.Itoa(d.Fall))
	option("port", strconv.Itoa(s.Port), "0")
	option("host", s.Host, "")
	if s.isHTTP() {
		option("method", s.Method, d.Method)
		for line := range strings.Lines(s.Headers) {
			words = append(words, "header", escape(strings.TrimSuffix(line, "\r\n")))
		}
		option("body", escape(s.Send), "")
		option("status", s.statusRange(), d.statusRange())
		option("expect", escape(s.Expect), "")
	}
	option("user", s.User, "")
	option("alpn", s.ALPN, "")
	option("jitter", strconv.Itoa(s.Jitter)+"%", strconv.Itoa(d.Jitter)+"%")
	option("start", s.Start.String(), d.Start.String())
	if s.Verify {
		words = append(words, "verify")
	}
	if s.DryRun {
		words = append(words, "dry_run")
	}
	return strings.Join(words, " ")
}

// kindWords are the kind with its arguments.
func (s Spec) kindWords() []string {
	switch s.Kind {
	case HTTP, HTTPS, DNS, Exec:
		return []string{string(s.Kind), s.Arg}
	case Send:
		if s.Send == "" {
			return []string{first, escape(s.Expect)}
		}
		return []string{"send", escape(s.Send), "expect", escape(s.Expect)}
	case UDP:
		return []string{"udp", "send", escape(s.Send), "expect", escape(s.Expect)}
	case Script:
		return []string{"script", s.Steps}
	case Agent:
		if s.Send != "" {
			return []string{"agent", "send", escape(s.Send)}
		}
	}
	return []string{string(s.Kind)}
}

func (s Spec) statusRange() string {
	if s.StatusMin == s.StatusMax {
		return strconv.Itoa(s.StatusMin)
	}
	return strconv.Itoa(s.StatusMin) + "-" + strconv.Itoa(s.StatusMax)
}
