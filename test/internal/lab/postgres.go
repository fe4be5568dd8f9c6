package lab

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
	"syscall"
	"testing"
)

// PostgresKind is a server of PostgreSQL. A connection to it costs as much as a hundred
// to other kinds: a process.
var PostgresKind = &Kind{Network: "tcp", Port: 5432, Pace: 4 * quickly, Stop: syscall.SIGQUIT, Talk: TalkPostgres}

// A Postgres is a cluster of PostgreSQL servers: the first is the primary, the others
// are its replicas.
type Postgres struct {
	Servers []*Daemon
	Bin     string // folder with PostgreSQL's programs

	place Place
	dir   string
	owner *syscall.Credential // PostgreSQL does not run as root
}

// NewPostgres makes and starts a cluster of one server.
func NewPostgres(t testing.TB, p Place, primary string) *Postgres {
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
	pg := &Postgres{Bin: filepath.Dir(found[len(found)-1]), place: p, owner: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
	// Other users can't read the test's own folder.
	if pg.dir, err = os.MkdirTemp("", "pen-postgres-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(pg.dir) })
	if err := os.Chown(pg.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	pg.Run(t, "initdb", "-D", pg.Data(primary), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	pg.start(t, primary)
	return pg
}

// Replicate adds a replica of the primary.
func (pg *Postgres) Replicate(t testing.TB, replica string) {
	t.Helper()
	pg.Run(t, "pg_basebackup", "-D", pg.Data(replica), "-R", "-h", pg.Servers[0].Addr, "-U", "postgres", "-c", "fast", "--no-sync")
	pg.start(t, replica)
}

func (pg *Postgres) start(t testing.TB, addr string) {
	t.Helper()
	pg.Servers = append(pg.Servers, newDaemon(t, pg.place, PostgresKind, addr, func() *exec.Cmd {
		return pg.command("postgres", "-D", pg.Data(addr), "-c", "listen_addresses="+addr, "-c", "unix_socket_directories=",
			"-c", "fsync=off", "-c", "shared_buffers=16MB")
	}))
}

// Data returns the folder with the data of a server.
func (pg *Postgres) Data(addr string) string { return filepath.Join(pg.dir, addr) }

// WriteFile writes a file of a server's data, which only the server may read.
func (pg *Postgres) WriteFile(t testing.TB, addr, name, text string) {
	t.Helper()
	file := filepath.Join(pg.Data(addr), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, int(pg.owner.Uid), int(pg.owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

func (pg *Postgres) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(pg.Bin, name), args...)
	cmd.Dir, cmd.Env = pg.dir, []string{"LC_ALL=C", "HOME=" + pg.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: pg.owner}
	return cmd
}

// Run runs one of PostgreSQL's programs, which must succeed.
func (pg *Postgres) Run(t testing.TB, name string, args ...string) {
	t.Helper()
	err := pg.place.in(func() error {
		if out, err := pg.command(name, args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s %q: %w\n%s", name, args, err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// PostgresStartup is the first message to PostgreSQL (its manual, "Message Formats",
// StartupMessage): a length, the version 3.0 of the protocol, pairs of strings.
var PostgresStartup = func() string {
	const pairs = "user\x00postgres\x00database\x00postgres\x00\x00"
	head := binary.BigEndian.AppendUint32(nil, uint32(8+len(pairs)))
	return string(binary.BigEndian.AppendUint32(head, 3<<16)) + pairs
}()

// TalkPostgres asks for the server's address by a query. Every message but the first is
// a letter, the length of what follows, itself included, and that.
func TalkPostgres(c net.Conn) (string, error) {
	const query = "select host(inet_server_addr())\x00"
	if _, err := io.WriteString(c, PostgresStartup); err != nil {
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
