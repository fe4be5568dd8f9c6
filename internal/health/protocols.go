package health

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"

	"pen/internal/sock"
)

// defaultUser logs in to databases where the operator names no user. The check passes even
// if the login is refused.
const defaultUser = "pen"

// askSMTP greets a mail server (RFC 5321, sections 3.1 and 3.2) and quits.
func askSMTP(c net.Conn, hello string) (string, error) {
	if hello == "" {
		hello = literal(c)
	}
	r := textproto.NewReader(bufio.NewReader(c))
	if _, _, err := r.ReadResponse(220); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(c, "EHLO %s\r\n", hello); err != nil {
		return "", err
	}
	if _, _, err := r.ReadResponse(250); err != nil {
		return "", err
	}
	io.WriteString(c, "QUIT\r\n") // else the server logs a lost connection
	r.ReadResponse(221)
	return "250", nil
}

// literal is this side's address as an address literal, which a mail server accepts
// instead of a name (RFC 5321, section 4.1.3).
func literal(c net.Conn) string {
	switch addr := sock.AddrPort(c.LocalAddr()).Addr().Unmap().WithZone(""); {
	case addr.Is4():
		return fmt.Sprintf("[%v]", addr)
	case addr.Is6():
		return fmt.Sprintf("[IPv6:%v]", addr)
	}
	return "localhost"
}

// askRedis sends PING as an inline command. A server that wants a password first passes
// too.
func askRedis(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return "", err
	}
	line, err := textproto.NewReader(bufio.NewReader(c)).ReadLine()
	switch {
	case err != nil:
		return "", err
	case line == "+PONG":
		return "PONG", nil
	case strings.HasPrefix(line, "-NOAUTH ") || strings.HasPrefix(line, "-NOPERM "):
		return "PING wants a password", nil
	}
	return "", &unexpected{"+PONG", []byte(line)}
}

// askPostgreSQL starts to log in (PostgreSQL manual, "Message Flow", Start-up) and leaves
// when the server asks for a password or wants none. If the operator names no user, a
// refusal passes too.
func askPostgreSQL(c net.Conn, user string) (string, error) {
	const version = 3 << 16
	name := user
	if name == "" {
		name = defaultUser
	}
	params := "user\x00" + name + "\x00application_name\x00pen\x00\x00"
	start := binary.BigEndian.AppendUint32(nil, uint32(8+len(params)))
	start = append(binary.BigEndian.AppendUint32(start, version), params...)
	if _, err := c.Write(start); err != nil {
		return "", err
	}
	var head [5]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(head[1:])
	switch head[0] {
	case 'R':
		c.Write([]byte{'X', 0, 0, 0, 4}) // Terminate
		return "login is possible", nil
	case 'E':
		if n < 4 || n > maxBytes {
			return "", fmt.Errorf("an error message of %d bytes", n)
		}
		body := make([]byte, n-4)
		if _, err := io.ReadFull(c, body); err != nil {
			return "", err
		}
		return postgreSQLError(body, user)
	}
	return "", &unexpected{"an answer to the start of a session", head[:]}
}

// postgreSQLError judges an error message, whose fields are a letter and a zero-terminated
// text each. A server that refuses a login (class 28) works.
func postgreSQLError(body []byte, user string) (string, error) {
	code, message := "", ""
	for field := range strings.SplitSeq(string(body), "\x00") {
		if rest, ok := strings.CutPrefix(field, "C"); ok {
			code = rest
		} else if rest, ok := strings.CutPrefix(field, "M"); ok {
			message = rest
		}
	}
	if user == "" && strings.HasPrefix(code, "28") {
		return "login is refused", nil
	}
	return "", fmt.Errorf("error %s: %s", code, message)
}

// The first bytes of a MySQL server's packets, and the client's capabilities (MySQL
// internals, "Connection Phase").
const (
	mysqlOK      = 0x00
	mysqlMore    = 0x01
	mysqlSwitch  = 0xfe
	mysqlError   = 0xff
	mysqlVersion = 10

	mysqlCapabilities = 0x1 | 0x200 | 0x8000 | 0x80000 // LONG_PASSWORD, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH
	mysqlNative       = "mysql_native_password"
)

// refusedLogins are the error codes of a MySQL server that works and refuses a user.
var refusedLogins = []uint16{1044, 1045, 1251, 1524, 1698, 1862, 3118, 4151}

// askMySQL logs in without a password and leaves. It must try to log in: after
// max_connect_errors connections without an attempt the server would refuse this host. If
// the operator names no user, a refusal passes too.
func askMySQL(c net.Conn, user string) (string, error) {
	greeting, seq, err := mysqlPacket(c)
	if err != nil {
		return "", err
	}
	if greeting[0] != mysqlVersion {
		return "", mysqlProblem(greeting, "a greeting of protocol version 10")
	}
	name := user
	if name == "" {
		name = defaultUser
	}
	login := binary.LittleEndian.AppendUint32(nil, mysqlCapabilities)
	login = binary.LittleEndian.AppendUint32(login, 1<<24) // longest packet
	login = append(login, 33)                              // utf8
	login = append(login, make([]byte, 23)...)
	login = append(login, name+"\x00\x00"+mysqlNative+"\x00"...) // no password
	for range 4 {
		if err := writeMySQL(c, seq+1, login); err != nil {
			return "", err
		}
		answer, n, err := mysqlPacket(c)
		if err != nil {
			return "", err
		}
		seq = n
		switch answer[0] {
		case mysqlOK:
			writeMySQL(c, 0, []byte{1}) // COM_QUIT
			return "login succeeded", nil
		case mysqlSwitch, mysqlMore:
			// Another authentication method, in which a zero byte means no password.
			login = []byte{0}
			if plugin, _, _ := strings.Cut(string(answer[1:]), "\x00"); plugin == mysqlNative {
				login = nil
			}
			continue
		}
		var refused *mysqlRefusal
		err = mysqlProblem(answer, "an answer to a login")
		if user == "" && errors.As(err, &refused) && slices.Contains(refusedLogins, refused.code) {
			return "login is refused", nil
		}
		return "", err
	}
	return "", errors.New("the login does not end")
}

// mysqlPacket reads a packet, which must not be empty, and its sequence number.
func mysqlPacket(c net.Conn) (body []byte, seq byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, 0, err
	}
	n := int(head[0]) | int(head[1])<<8 | int(head[2])<<16
	if n == 0 || n > maxBytes {
		return nil, 0, fmt.Errorf("a packet of %d bytes", n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(c, body)
	return body, head[3], err
}

func writeMySQL(c net.Conn, seq byte, body []byte) error {
	n := len(body)
	_, err := c.Write(append([]byte{byte(n), byte(n >> 8), byte(n >> 16), seq}, body...))
	return err
}

// A mysqlRefusal is an error packet.
type mysqlRefusal struct {
	code    uint16
	message string
}

func (e *mysqlRefusal) Error() string { return fmt.Sprintf("error %d: %s", e.code, e.message) }

// mysqlProblem is the error for a packet other than the expected one.
func mysqlProblem(packet []byte, want string) error {
	if packet[0] != mysqlError || len(packet) < 3 {
		return &unexpected{want, packet}
	}
	message := string(packet[3:])
	if len(message) >= 6 && message[0] == '#' {
		message = message[6:] // the SQL state
	}
	return &mysqlRefusal{binary.LittleEndian.Uint16(packet[1:]), message}
}

// LDAP messages (RFC 4511): an anonymous bind of version 3, and an unbind.
var (
	ldapBind   = []byte{0x30, 12, 0x02, 1, 1, 0x60, 7, 0x02, 1, 3, 0x04, 0, 0x80, 0}
	ldapUnbind = []byte{0x30, 5, 0x02, 1, 2, 0x42, 0}
)

// ldapDown are the result codes of a server that can't serve: busy, unavailable, other.
var ldapDown = []byte{51, 52, 80}

// askLDAP binds anonymously. A server that does not permit that passes too.
func askLDAP(c net.Conn) (string, error) {
	if _, err := c.Write(ldapBind); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	malformed := &unexpected{"a bind response", nil}
	message, err := berElement(r, 0x30)
	if err != nil {
		return "", err
	}
	in := strings.NewReader(string(message))
	if _, err := berElement(in, 0x02); err != nil { // the message's ID
		return "", malformed
	}
	response, err := berElement(in, 0x61)
	if err != nil {
		return "", malformed
	}
	code, err := berElement(strings.NewReader(string(response)), 0x0a)
	if err != nil || len(code) != 1 {
		return "", malformed
	}
	c.Write(ldapUnbind)
	if slices.Contains(ldapDown, code[0]) {
		return "", fmt.Errorf("result code %d", code[0])
	}
	return fmt.Sprintf("result code %d", code[0]), nil
}

// A byteReader is what berElement reads from.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// berElement reads an element of a type and returns its contents. Its length may be
// written in more bytes than needed, as Active Directory does.
func berElement(r byteReader, tag byte) ([]byte, error) {
	got, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	if got != tag {
		return nil, &unexpected{string(tag), []byte{got}}
	}
	first, err := r.ReadByte()
	if err != nil {
		return nil, err
	}
	n := int(first)
	if first >= 0x80 {
		n = 0
		for range first - 0x80 {
			b, err := r.ReadByte()
			if err != nil {
				return nil, err
			}
			if n = n<<8 | int(b); n > maxBytes {
				break
			}
		}
	}
	if n > maxBytes {
		return nil, errTooMuch
	}
	body := make([]byte, n)
	_, err = io.ReadFull(r, body)
	return body, err
}
