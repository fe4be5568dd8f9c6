package pen_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	dnswire "github.com/miekg/dns"
)

// A kind is a sort of server, with its client. Each server can say at which
// address it was asked: that is its name.
type kind struct {
	network string // "tcp" or "udp"
	port    int
	pace    time.Duration  // at which a client asks
	end     syscall.Signal // what ends it with all its processes
	// program makes what a server needs in a folder, and returns what starts it.
	program func(t *testing.T, dir, addr string) func() *exec.Cmd
	// talk asks over a connection for the server's address.
	talk func(c net.Conn) (string, error)
}

// ask makes a connection and asks for the server's address.
func (k *kind) ask(to, from string, limit time.Duration) (string, error) {
	d := net.Dialer{Timeout: limit}
	if ip := net.ParseIP(from); ip != nil && k.network == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: ip}
	} else if ip != nil {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	c, err := d.Dial(k.network, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	return k.talk(c)
}

// briskly is the pace of clients of servers for which a connection costs little.
const briskly = 50 * time.Millisecond

var nginxKind = &kind{network: "tcp", port: 80, pace: briskly, end: syscall.SIGKILL, program: nginxProgram, talk: talkHTTP}

func nginxProgram(t *testing.T, dir, addr string) func() *exec.Cmd {
	conf := filepath.Join(dir, "nginx.conf")
	writeFile(t, conf, fmt.Sprintf(`daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log %s/access.log; server { listen %s:80; location = / { return 200 "$server_addr\n"; } } }
`, dir, dir, dir, addr))
	return func() *exec.Cmd { return exec.Command("nginx", "-p", dir, "-e", dir+"/error.log", "-c", conf) }
}

func talkHTTP(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(c)
	if err != nil {
		return "", err
	}
	_, body, _ := strings.Cut(string(answer), "\r\n\r\n")
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200") {
		return "", fmt.Errorf("answer %.40q", answer)
	}
	return strings.TrimSpace(body), nil
}

var redisKind = &kind{network: "tcp", port: 6379, pace: briskly, end: syscall.SIGKILL, program: redisProgram, talk: talkRedis}

func redisProgram(_ *testing.T, dir, addr string) func() *exec.Cmd {
	return func() *exec.Cmd {
		return exec.Command("redis-server", "--bind", addr, "--port", "6379", "--save", "", "--dir", dir)
	}
}

func talkRedis(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "CONFIG GET bind\r\n"); err != nil {
		return "", err
	}
	// An array of two strings, each with its length.
	r := bufio.NewReader(c)
	line := ""
	for range 5 {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return "", err
		}
	}
	return strings.TrimSpace(line), nil
}

var unboundKind = &kind{network: "udp", port: 53, pace: briskly, end: syscall.SIGKILL, program: unboundProgram, talk: talkDNS}

func unboundProgram(t *testing.T, dir, addr string) func() *exec.Cmd {
	conf := filepath.Join(dir, "unbound.conf")
	writeFile(t, conf, fmt.Sprintf(`server:
	interface: %s
	do-daemonize: no
	use-syslog: no
	logfile: "%s/log"
	pidfile: ""
	chroot: ""
	username: ""
	directory: "%s"
	local-zone: "test." static
	local-data: 'who.test. 0 IN TXT "%s"'
remote-control:
	control-enable: no
`, addr, dir, dir, addr))
	return func() *exec.Cmd { return exec.Command("unbound", "-d", "-c", conf) }
}

func talkDNS(c net.Conn) (string, error) {
	conn := dnswire.Conn{Conn: c}
	question := new(dnswire.Msg).SetQuestion("who.test.", dnswire.TypeTXT)
	if err := conn.WriteMsg(question); err != nil {
		return "", err
	}
	answer, err := conn.ReadMsg()
	if err != nil {
		return "", err
	}
	if answer.Id == question.Id && len(answer.Answer) == 1 {
		if txt, ok := answer.Answer[0].(*dnswire.TXT); ok && len(txt.Txt) == 1 {
			return txt.Txt[0], nil
		}
	}
	return "", fmt.Errorf("answer %v", answer)
}

// A connection to PostgreSQL costs as much as a hundred to the others: a process.
var postgresKind = &kind{network: "tcp", port: 5432, pace: 4 * briskly, end: syscall.SIGQUIT, talk: talkPostgres}

// A cluster is two PostgreSQL servers, the second one a replica of the first.
type cluster struct {
	servers []*daemon
	bin     string // where PostgreSQL's programs are
	dir     string
	owner   *syscall.Credential // PostgreSQL does not run as root
}

// newCluster makes and starts a cluster at two addresses.
func newCluster(t *testing.T, s *site, primary, replica string) *cluster {
	t.Helper()
	c := newPostgres(t, s, primary)
	c.run(t, s, "pg_basebackup", "-D", c.data(replica), "-R", "-h", primary, "-U", "postgres", "-c", "fast", "--no-sync")
	c.servers = append(c.servers, newDaemon(t, s, postgresKind, replica, func() *exec.Cmd { return c.server(replica) }))
	return c
}

// newPostgres makes and starts a cluster that is one server only.
func newPostgres(t *testing.T, s *site, primary string) *cluster {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatalf("PostgreSQL is not installed: %v", err)
	}
	slices.Sort(found)
	u, err := user.Lookup("postgres")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	c := &cluster{bin: filepath.Dir(found[len(found)-1]), owner: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	// Other users may not look into the test's own folder.
	if c.dir, err = os.MkdirTemp("", "pen-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(c.dir) })
	if err := os.Chown(c.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	c.run(t, s, "initdb", "-D", c.data(primary), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	c.servers = append(c.servers, newDaemon(t, s, postgresKind, primary, func() *exec.Cmd { return c.server(primary) }))
	return c
}

func (c *cluster) data(addr string) string { return filepath.Join(c.dir, addr) }

func (c *cluster) program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.Env = c.dir, []string{"LC_ALL=C", "HOME=" + c.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.owner}
	return cmd
}

func (c *cluster) server(addr string) *exec.Cmd {
	return c.program("postgres", "-D", c.data(addr), "-c", "listen_addresses="+addr, "-c", "unix_socket_directories=",
		"-c", "fsync=off", "-c", "shared_buffers=16MB")
}

// run runs one of PostgreSQL's programs to its end.
func (c *cluster) run(t *testing.T, s *site, name string, args ...string) {
	t.Helper()
	err := s.net.In(func() error {
		if out, err := c.program(name, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// startup is how a conversation with PostgreSQL begins (its manual, "Message
// Formats", StartupMessage): a length, the version 3.0 of the protocol, pairs
// of strings.
var startup = func() string {
	const pairs = "user\x00postgres\x00database\x00postgres\x00\x00"
	head := binary.BigEndian.AppendUint32(nil, uint32(8+len(pairs)))
	return string(binary.BigEndian.AppendUint32(head, 3<<16)) + pairs
}()

// talkPostgres asks by a query. Every message but the first is a letter, the
// length of what follows, itself included, and that.
func talkPostgres(c net.Conn) (string, error) {
	const query = "select host(inet_server_addr())\x00"
	if _, err := io.WriteString(c, startup); err != nil {
		return "", err
	}
	r := bufio.NewReader(c)
	asked, server := false, ""
	for {
		kind, body, err := readPostgres(r)
		switch {
		case err != nil:
			return "", err
		case kind == 'E':
			return "", fmt.Errorf("error %.100q", body)
		case kind == 'D' && len(body) > 6: // a row: the number of values, and for each its length and itself
			server = string(body[6:])
		case kind == 'Z' && asked:
			io.WriteString(c, "X\x00\x00\x00\x04")
			return server, nil
		case kind == 'Z':
			asked = true
			message := binary.BigEndian.AppendUint32([]byte("Q"), uint32(4+len(query)))
			if _, err := c.Write(append(message, query...)); err != nil {
				return "", err
			}
		}
	}
}

func readPostgres(r *bufio.Reader) (kind byte, body []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n < 4 || n > 64<<10 {
		return 0, nil, fmt.Errorf("a message %q of %d bytes", head[0], n)
	}
	body = make([]byte, n-4)
	_, err = io.ReadFull(r, body)
	return head[0], body, err
}
