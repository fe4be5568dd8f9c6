package lab

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"

	dnswire "github.com/miekg/dns"
)

// A Kind is a sort of real server, with its client. Each server can say at which
// address a client reached it: that is its name.
type Kind struct {
	Network string // "tcp" or "udp"
	Port    int
	Pace    time.Duration  // between two requests of a client
	Stop    syscall.Signal // stops the server with all its processes
	// Program writes the files that a server needs to a folder, and returns a function
	// that makes the command to start it.
	Program func(t testing.TB, dir, addr string) func() *exec.Cmd
	// Talk asks for the server's address over a connection.
	Talk func(c net.Conn) (string, error)
}

// Ask connects to an address, from another one unless that is "", and returns what
// Talk does.
func (k *Kind) Ask(to, from string, limit time.Duration) (string, error) {
	d := net.Dialer{Timeout: limit}
	if ip := net.ParseIP(from); ip != nil && k.Network == "udp" {
		d.LocalAddr = &net.UDPAddr{IP: ip}
	} else if ip != nil {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	c, err := d.Dial(k.Network, to)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(limit))
	return k.Talk(c)
}

// quickly is the pace of clients whose connections cost a server little.
const quickly = 50 * time.Millisecond

// The kinds of servers that are there. [PostgresKind] is another one.
var (
	NginxKind   = &Kind{Network: "tcp", Port: 80, Pace: quickly, Stop: syscall.SIGKILL, Program: nginxProgram, Talk: TalkHTTP}
	RedisKind   = &Kind{Network: "tcp", Port: 6379, Pace: quickly, Stop: syscall.SIGKILL, Program: redisProgram, Talk: talkRedis}
	UnboundKind = &Kind{Network: "udp", Port: 53, Pace: quickly, Stop: syscall.SIGKILL, Program: unboundProgram, Talk: talkDNS}
)

func nginxProgram(t testing.TB, dir, addr string) func() *exec.Cmd {
	conf := filepath.Join(dir, "nginx.conf")
	WriteFile(t, conf, fmt.Sprintf(`daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log %s/access.log; server { listen %s:80; location = / { return 200 "$server_addr\n"; } } }
`, dir, dir, dir, addr))
	return func() *exec.Cmd { return exec.Command("nginx", "-p", dir, "-e", dir+"/error.log", "-c", conf) }
}

func redisProgram(_ testing.TB, dir, addr string) func() *exec.Cmd {
	return func() *exec.Cmd {
		return exec.Command("redis-server", "--bind", addr, "--port", "6379", "--save", "", "--dir", dir)
	}
}

func talkRedis(c net.Conn) (string, error) {
	if _, err := io.WriteString(c, "CONFIG GET bind\r\n"); err != nil {
		return "", err
	}
	// The answer is an array of two strings, each with its length.
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

func unboundProgram(t testing.TB, dir, addr string) func() *exec.Cmd {
	conf := filepath.Join(dir, "unbound.conf")
	WriteFile(t, conf, UnboundConfig(addr, dir, addr, ""))
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

// A Daemon is a real server at an address of its own.
type Daemon struct {
	Addr string
	Dir  string // of its files
	Kind *Kind

	place   Place
	program func() *exec.Cmd
	cmd     *exec.Cmd
	ended   chan struct{} // closed when cmd has ended
}

// NewDaemon starts a server of a kind. It stops with the test at the latest.
func NewDaemon(t testing.TB, p Place, k *Kind, addr string) *Daemon {
	t.Helper()
	dir := t.TempDir()
	d := newDaemon(t, p, k, addr, k.Program(t, dir, addr))
	d.Dir = dir
	return d
}

func newDaemon(t testing.TB, p Place, k *Kind, addr string, program func() *exec.Cmd) *Daemon {
	t.Helper()
	d := &Daemon{Addr: addr, Kind: k, place: p, program: program}
	t.Cleanup(func() { d.Stop(k.Stop) })
	d.Start(t)
	return d
}

// Start starts the server and waits until it answers. A server that ends again, as it
// may soon after another one was killed, is started once more.
func (d *Daemon) Start(t testing.TB) {
	t.Helper()
	testenv.Eventually(t, d.Addr+" answers", func() bool {
		if d.hasEnded() {
			d.cmd = d.program()
			if err := d.place.in(d.cmd.Start); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			d.ended = ended
			go func() {
				d.cmd.Wait()
				close(ended)
			}()
		}
		return d.answers()
	})
}

func (d *Daemon) hasEnded() bool {
	if d.cmd == nil {
		return true
	}
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

// answers reports whether the server itself answers.
func (d *Daemon) answers() bool {
	var got string
	err := d.place.in(func() (err error) {
		got, err = d.Kind.Ask(d.Endpoint(), "", time.Second)
		return err
	})
	return err == nil && got == d.Addr
}

// Endpoint returns the server's address and port.
func (d *Daemon) Endpoint() string { return fmt.Sprintf("%s:%d", d.Addr, d.Kind.Port) }

// Stop stops the server by a signal, also a frozen one, and waits until it has ended.
func (d *Daemon) Stop(by syscall.Signal) {
	if d.hasEnded() {
		return
	}
	d.cmd.Process.Signal(by)
	d.cmd.Process.Signal(syscall.SIGCONT)
	select {
	case <-d.ended:
	case <-time.After(testenv.Limit):
		d.cmd.Process.Kill()
		<-d.ended
	}
}

// Signal sends the server a signal.
func (d *Daemon) Signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}
