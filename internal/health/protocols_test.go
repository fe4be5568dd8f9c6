package health

import (
	"bufio"
	"io"
	"net/netip"
	"strings"
	"testing"

	"pen/internal/check"
	"pen/internal/testenv"
)

// mysqlGreeting is what a MySQL server says first, in short.
const mysqlGreeting = "\x4a\x00\x00\x00\x0a8.0.36\x00\x08\x00\x00\x00abcdefgh\x00\xff\xf7\x08\x02\x00\xff\x81\x15" +
	"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00abcdefghijkl\x00caching_sha2_password\x00"

func mysqlErr(seq byte, code uint16, text string) string {
	return string([]byte{byte(3 + len(text)), 0, 0, seq, 0xff, byte(code), byte(code >> 8)}) + text
}

func postgresErr(code, message string) string {
	body := "SFATAL\x00C" + code + "\x00M" + message + "\x00\x00"
	return string([]byte{'E', 0, 0, 0, byte(4 + len(body))}) + body
}

// dialogues serves: for each turn it sends what stands there, then reads once.
func dialogues(t *testing.T, turns ...string) netip.AddrPort {
	return testenv.Serve(t, func(c testenv.Conn) {
		for _, text := range turns {
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
			c.Read(make([]byte, 4096))
		}
		io.Copy(io.Discard, c)
	})
}

// Servers by their protocols: what works, also where it lets nobody in, what
// does not, and what speaks something else.
func TestProtocols(t *testing.T) {
	testenv.CheckLeaks(t)
	denied := mysqlErr(2, 1045, "#28000Access denied")
	for _, tt := range []struct {
		text   string
		addr   netip.AddrPort
		v      check.Verdict
		reason string
	}{
		{"smtp", dialogues(t, "220-mx\r\n220 ready\r\n", "250-mx\r\n250 SIZE\r\n", "221 bye\r\n"), check.Passed, "250"},
		{"smtp", dialogues(t, "220 ready\r\n", "250 hello\r\n"), check.Passed, "250"},
		{"smtp", dialogues(t, "554 go away\r\n"), check.Failed, `554 "go away"`},
		{"smtp", dialogues(t, "220 ready\r\n", "421 shutting down\r\n"), check.Failed, `421 "shutting down"`},
		{"smtp", testenv.Source(t, "220"), check.Failed, `short response: "220"`},
		{"smtp timeout 10", floods(t, "", "220-more\r\n"), check.Failed, "more than 65536 bytes"},
		{"smtp timeout 300ms", testenv.Sink(t), check.Failed, "timeout after 300ms"},
		{"redis", says(t, "+PONG\r\n"), check.Passed, "PONG"},
		{"redis", says(t, "-NOAUTH Authentication required.\r\n"), check.Passed, "PING wants a password"},
		{"redis", says(t, "-LOADING Redis is loading\r\n"), check.Failed, `expected "+PONG", got "-LOADING Redis`},
		{"redis", says(t, "-MASTERDOWN Link with MASTER is down\r\n"), check.Failed, `expected "+PONG"`},
		{"redis timeout 10", floods(t, "", "x"), check.Failed, "more than 65536 bytes"},
		{"postgresql", says(t, "R\x00\x00\x00\x08\x00\x00\x00\x00"), check.Passed, "login is possible"},
		{"postgresql", says(t, postgresErr("28000", "no pg_hba")), check.Passed, "login is refused"},
		{"postgresql user app", says(t, postgresErr("28000", "no role")), check.Failed, "error 28000: no role"},
		{"postgresql", says(t, postgresErr("57P03", "starting")), check.Failed, "error 57P03: starting"},
		{"postgresql", says(t, "E\xff\xff\xff\xff"), check.Failed, "an error message of 4294967295 bytes"},
		{"postgresql", says(t, "SSH-2.0-x\r\n"), check.Failed, `expected "an answer to the start of a session", got "SSH-2"`},
		{"mysql", dialogues(t, mysqlGreeting, "\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"), check.Passed, "login succeeded"},
		{"mysql", dialogues(t, mysqlGreeting, denied), check.Passed, "login is refused"},
		{"mysql user app", dialogues(t, mysqlGreeting, denied), check.Failed, "error 1045: Access denied"},
		{"mysql", dialogues(t, mysqlGreeting, "\x07\x00\x00\x02\xfesha2\x00x", "\x07\x00\x00\x04\x00\x00\x00\x02\x00\x00\x00"), check.Passed, "login succeeded"},
		{"mysql", dialogues(t, mysqlGreeting, "\x02\x00\x00\x02\x01\x04", "\x02\x00\x00\x04\x01\x04", "\x02\x00\x00\x06\x01\x04", "\x02\x00\x00\x08\x01\x04"), check.Failed, "the login does not end"},
		{"mysql", dialogues(t, mysqlErr(0, 1040, "Too many connections")), check.Failed, "error 1040: Too many connections"},
		{"mysql", dialogues(t, mysqlGreeting, mysqlErr(2, 1053, "#08S01shutdown")), check.Failed, "error 1053: shutdown"},
		{"mysql", dialogues(t, "\x01\x00\x00\x00\x09"), check.Failed, `expected "a greeting of protocol version 10"`},
		{"mysql", dialogues(t, "\x00\x00\x00\x00"), check.Failed, "a packet of 0 bytes"},
		{"mysql", dialogues(t, "SSH-2.0-x\r\n"), check.Failed, "a packet of 4739923 bytes"},
		{"ldap", says(t, "0\x0c\x02\x01\x01a\x07\x0a\x01\x00\x04\x00\x04\x00"), check.Passed, "result code 0"},
		{"ldap", says(t, "0\x84\x00\x00\x00\x10\x02\x01\x01a\x84\x00\x00\x00\x07\x0a\x01\x30\x04\x00\x04\x00"), check.Passed, "result code 48"},
		{"ldap", says(t, "0\x0c\x02\x01\x01a\x07\x0a\x01\x33\x04\x00\x04\x00"), check.Failed, "result code 51"},
		{"ldap", says(t, "0\x88\xff\xff\xff\xff\xff\xff\xff\xff"), check.Failed, "more than 65536 bytes"},
		{"ldap", says(t, "0\x02\x02\x05"), check.Failed, `expected "a bind response"`},
		{"ldap", says(t, "HTTP/1.1 400\r\n"), check.Failed, `expected "0", got "H"`},
	} {
		wantOutcome(t, Key{Addr: tt.addr}, tt.text, tt.v, tt.reason)
	}
}

// A script goes through its steps in order: what came before does not count
// again.
func TestScript(t *testing.T) {
	testenv.CheckLeaks(t)
	imap := testenv.Serve(t, func(c testenv.Conn) {
		io.WriteString(c, "* OK IMAP4 ready\r\n")
		in := bufio.NewScanner(c)
		for in.Scan() {
			tag, command, _ := strings.Cut(in.Text(), " ")
			io.WriteString(c, "* doing "+command+"\r\n"+tag+" OK done\r\n")
		}
	})
	for _, tt := range []struct {
		text   string
		v      check.Verdict
		reason string
	}{
		{`script expect *\sOK send a\sNOOP\r\n expect a\sOK send b\sLOGOUT\r\n expect LOGOUT expect b\sOK`, check.Passed, `got "b OK"`},
		{`script send a\sNOOP\r\n expect ready expect a\sOK`, check.Passed, `got "a OK"`},
		{`script expect ready expect ready timeout 300ms`, check.Failed, `expected "ready", got "\r\n"`},
		{`script expect OK send a\sNOOP\r\n expect b\sOK timeout 300ms`, check.Failed, `expected "b OK", got " IMAP4 ready`},
	} {
		wantOutcome(t, Key{Addr: imap}, tt.text, tt.v, tt.reason)
	}
}
