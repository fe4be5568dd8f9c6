package check

import (
	"strings"
	"testing"
	"time"
)

// specs are texts, what they are in the canonical way, and what that is.
var specs = []struct {
	text, want string
	spec       Spec
}{
	{"tcp", "tcp", Spec{Kind: TCP}},
	{"tls verify host a.example", "tls host a.example verify", Spec{Kind: TLS, Verify: true, Host: "a.example"}},
	{
		"http /health interval 500ms fall 2 port 8081", "http /health interval 500ms fall 2 port 8081",
		Spec{Kind: HTTP, Arg: "/health", Interval: 500 * time.Millisecond, Timeout: 500 * time.Millisecond, Fall: 2, Port: 8081},
	},
	{
		"https /?a=b status 204 host [::1]:443 timeout 1 verify", "https /?a=b host [::1]:443 status 204 verify",
		Spec{Kind: HTTPS, Arg: "/?a=b", StatusMin: 204, StatusMax: 204, Host: "[::1]:443", Verify: true},
	},
	{"http / status 100-599 status 200-399", "http /", Spec{Kind: HTTP, Arg: "/"}},
	{
		`send PING\r\n expect +PONG rise 1`, `send PING\r\n expect +PONG rise 1`,
		Spec{Kind: Send, Send: "PING\r\n", Expect: "+PONG", Rise: 1},
	},
	{`expect 220\s jitter 0`, `expect 220\s jitter 0%`, Spec{Kind: Send, Expect: "220 ", Jitter: -1}},
	{
		`udp send \x00\xFF\x23a#\\ expect \x7e\t`, `udp send \x00\xff\x23a\x23\\ expect ~\t`,
		Spec{Kind: UDP, Send: "\x00\xff#a#\\", Expect: "~\t"},
	},
	{"dns _x.example. start up", "dns _x.example. start up", Spec{Kind: DNS, Arg: "_x.example.", Start: Up}},
	{"exec /usr/lib/check interval 5m timeout 30 dry_run", "exec /usr/lib/check interval 300 timeout 30 dry_run", Spec{
		Kind: Exec, Arg: "/usr/lib/check", Interval: 5 * time.Minute, Timeout: 30 * time.Second, DryRun: true,
	}},
	{"tcp interval 1.5s jitter 100% start down", "tcp interval 1.5s jitter 100% start down", Spec{
		Kind: TCP, Interval: 1500 * time.Millisecond, Jitter: 100, Start: Down,
	}},
	{"smtp host mx.example", "smtp host mx.example", Spec{Kind: SMTP, Host: "mx.example"}},
	{"mariadb user pen port 3307", "mysql port 3307 user pen", Spec{Kind: MySQL, User: "pen", Port: 3307}},
	{"postgres", "postgresql", Spec{Kind: PostgreSQL}},
	{"redis", "redis", Spec{Kind: Redis}},
	{"ldap interval 5", "ldap interval 5", Spec{Kind: LDAP, Interval: 5 * time.Second}},
	{"tls alpn h2,http/1.1", "tls alpn h2,http/1.1", Spec{Kind: TLS, ALPN: "h2,http/1.1"}},
	{
		`http /db method POST header X-A:1 header Accept:\stext/plain body {"a":1}\n expect all\swell`,
		`http /db method POST header X-A:\s1 header Accept:\stext/plain body {"a":1}\n expect all\swell`,
		Spec{Kind: HTTP, Arg: "/db", Method: "POST", Headers: "X-A: 1\r\nAccept: text/plain\r\n", Send: "{\"a\":1}\n", Expect: "all well"},
	},
	{
		`script expect 220\s send EHLO\x20pen\r\n expect 250 fall 1`, `script expect 220\s send EHLO\spen\r\n expect 250 fall 1`,
		Spec{Kind: Script, Steps: `expect 220\s send EHLO\spen\r\n expect 250`, Fall: 1},
	},
	{"agent port 8765", "agent port 8765", Spec{Kind: Agent, Port: 8765}},
	{`agent send load\n rise 2 port 1`, `agent send load\n rise 2 port 1`, Spec{Kind: Agent, Send: "load\n", Port: 1, Rise: 2}},
}

// filled gives a Spec of the table what is as by default; a jitter of -1 is
// one of 0.
func filled(s Spec) Spec {
	d := defaults(s.Kind)
	for _, f := range []struct{ to, from *int }{
		{&s.Rise, &d.Rise}, {&s.Fall, &d.Fall}, {&s.StatusMin, &d.StatusMin}, {&s.StatusMax, &d.StatusMax}, {&s.Jitter, &d.Jitter},
	} {
		if *f.to == 0 {
			*f.to = *f.from
		}
	}
	if s.Method == "" {
		s.Method = d.Method
	}
	s.Jitter = max(s.Jitter, 0)
	if s.Interval == 0 {
		s.Interval = 2 * time.Second
	}
	if s.Timeout == 0 {
		s.Timeout = min(s.Interval, time.Second)
	}
	return s
}

func TestParseSpec(t *testing.T) {
	for _, tt := range specs {
		got, err := ParseSpec(strings.Fields(tt.text))
		if err != nil || got != filled(tt.spec) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", tt.text, err, got, filled(tt.spec))
			continue
		}
		if got.String() != tt.want {
			t.Errorf("%s: written %q, want %q", tt.text, got, tt.want)
		}
	}
}

// specErrors are texts with a part of what is said about them.
var specErrors = []struct{ text, want string }{
	{"", "the kind of check is missing, want tcp, tls, http PATH"},
	{"ping", `unknown kind of check "ping", want tcp,`},
	{"http", "http: its argument is missing, want http PATH"},
	{"http health", `http: bad PATH "health", want a slash`},
	{"http /é", `http: bad PATH "/é"`},
	{"http /" + strings.Repeat("x", 1024), "bad PATH"},
	{"exec check.sh", `exec: bad FILE "check.sh", want a slash`},
	{"dns a..b", `dns: bad NAME "a..b", want a host name`},
	{"dns .", `bad NAME`},
	{"dns " + strings.Repeat("x", 64), `bad NAME`},
	{"dns " + strings.Repeat("x.", 127) + "x", "bad NAME"},
	{"dns 127.1", "bad NAME"},
	{"smtp host -a", "bad host"},
	{"http / host 127.1:80", "bad host"},
	{"http / host a:x", "bad host"},
	{"send", "send: want send STRING"},
	{"send x", "send: want expect STRING"},
	{"send x want y", "send: want expect STRING"},
	{"expect", "send: want expect STRING"},
	{"udp expect x", "udp: want send STRING"},
	{`send a\q expect x`, `send: want \r, \n, \t, \s, \\ or \xNN after a backslash`},
	{`expect a\`, "expect: want"},
	{`expect a\x`, "expect: want"},
	{`expect a\x1`, "expect: want"},
	{`expect a\xg1`, "expect: want"},
	{`expect a\x+1`, "expect: want"},
	{"expect " + strings.Repeat("x", 1025), "a string of 1025 bytes, want 1 to 1024"},
	{"agent", "agent: the port where it listens is missing, want port N"},
	{"agent expect x", "expect: not for agent, only for http https"},
	{"script", "script: want steps, send STRING or expect STRING, of which the last one is expect STRING"},
	{"script expect a send b", "script: want steps"},
	{"script send", "script: send has no value, want send STRING"},
	{`script send \q expect a`, `script: send: want \r, \n`},
	{"script" + strings.Repeat(" expect a", 65), "script: 65 steps, want 64 at most"},
	{"smtp user a", "user: not for smtp, only for mysql postgresql"},
	{"mysql user", `user: "", want a name`},
	{"tls alpn a#b", `alpn: "a#b", want protocols such as`},
	{"http / method get", `method: "get", want one such as GET`},
	{"http / method CONNECT", "method:"},
	{"http / method HEAD expect x", "expect: the answer to HEAD has no body"},
	{"http / header X", `header: "X", want NAME:VALUE`},
	{`http / header X:a\r\nY:b`, "header:"},
	{"http / header hOST:a", "header: hOST is set by Pen; for another Host use host NAME"},
	{"http / header Transfer-Encoding:chunked", "header: Transfer-Encoding is set by Pen"},
	{"http /" + strings.Repeat(" header X:"+strings.Repeat("y", 1000), 5), "header: more than 4096 bytes of headers"},
	{"tcp interval", `interval: "" is not a duration`},
	{"tcp interval soon", `interval: "soon" is not a duration, want seconds such as 30, or 200ms, 5m`},
	{"tcp interval 1ms", `interval: "1ms" is out of range, want 50ms to 24h0m0s`},
	{"tcp interval -1", "out of range"},
	{"tcp timeout 0", "out of range"},
	{"tcp timeout 99999999999", "not a duration"},
	{"tcp rise 0", `rise: "0", want a number from 1 to 1000`},
	{"tcp fall x", `fall: "x", want a number`},
	{"tcp port 65536", `port: "65536", want a number from 0 to 65535`},
	{"tcp jitter 101%", `jitter: "101", want a number from 0 to 100`},
	{"http / status 399-200", `status: "200", want a number from 399 to 599`},
	{"http / status 99", "status:"},
	{"http / status 200-", "status:"},
	{"tcp status 200", "status: not for tcp, only for http https"},
	{"dns a host b", "host: not for dns, only for http https tls"},
	{"http / host a/b", `host: bad host "a/b"`},
	{"http / host", "host: bad host"},
	{"http / verify", "verify: not for http, only for tls https"},
	{"tcp start sideways", `start: "sideways" is no state, want up, down or unknown`},
	{"tcp colour red", `unknown option "colour", want interval, timeout`},
}

func TestParseSpecErrors(t *testing.T) {
	for _, tt := range specErrors {
		s, err := ParseSpec(strings.Fields(tt.text))
		if err == nil || !strings.Contains(err.Error(), tt.want) || s != (Spec{}) {
			t.Errorf("%.60s: %+v, %v, want %q", tt.text, s, err, tt.want)
		} else if strings.Contains(err.Error(), "\n") || len(err.Error()) > 250 {
			t.Errorf("%.60s: not a line to read: %q", tt.text, err)
		}
	}
}

// What is understood is written so that it is understood in the same way, in a
// line that is no comment.
func FuzzParseSpec(f *testing.F) {
	for _, tt := range specs {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSpec(strings.Fields(text))
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		again, err := ParseSpec(strings.Fields(s.String()))
		if err != nil || again != s {
			t.Fatalf("%q: %v\n got %+v\nfrom %+v", s, err, again, s)
		}
		if !isGraphic(strings.ReplaceAll(s.String(), " ", "")) || strings.Contains(s.String(), " #") {
			t.Fatalf("not printable words: %q", s)
		}
	})
}
