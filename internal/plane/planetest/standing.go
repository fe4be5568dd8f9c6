package planetest

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// serverEnv has the address of the server for the process that is stopped.
const serverEnv = "PEN_PLANETEST_SERVER"

// standing is a plane whose process stands still.
var standing = []conformance{
	{"stopped while connecting", stopped},
}

// connectTime is how long a connect may take in the process that is stopped.
const connectTime = 3 * time.Second

// stopped stops a process with a plane while it connects, for longer than a
// connect may take. The server accepts meanwhile; it is not to be blamed.
func stopped(t *testing.T, build New) {
	if addr := os.Getenv(serverEnv); addr != "" {
		connectAndStop(t, build, netip.MustParseAddrPort(addr))
		return
	}
	server, queued := testenv.FullListener(t)
	child := again(t)
	child.Env = append(os.Environ(), serverEnv+"="+server.AddrPort().String())
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "connecting" {
	}
	if err := child.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range queued {
		server.Next(t).Close()
	}
	conn := server.Next(t)
	// The time that the process misses is what this is about: a little more than
	// a connect may take.
	time.Sleep(connectTime + time.Second)
	if err := child.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	io.WriteString(in, "goes on\n")
	var said strings.Builder
	done := make(chan error, 1)
	go func() {
		for lines.Scan() {
			fmt.Fprintln(&said, lines.Text())
		}
		done <- child.Wait()
	}()
	// A plane may have given up this connection, unseen, and made another.
	buf := make([]byte, len("hello"))
	for _, err := io.ReadFull(conn, buf); err != nil; _, err = io.ReadFull(conn, buf) {
		conn = server.Next(t)
	}
	testenv.Write(t, conn, "hello")
	if err := <-done; err != nil || !strings.Contains(said.String(), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, said.String())
	}
}

// connectAndStop is what happens in the process that is stopped.
func connectAndStop(t *testing.T, build New, server netip.AddrPort) {
	cfg := config(server)
	cfg.ConnectTimeout = connectTime
	s := start(t, build, testenv.Loopback, cfg)
	client := s.dial(t)
	testenv.Write(t, client, "hello")
	testenv.Eventually(t, "the flow connects", func() bool {
		flows := s.d.Status().Flows
		return len(flows) == 1 && flows[0].Server == 0
	})
	fmt.Println("connecting")
	bufio.NewReader(os.Stdin).ReadString('\n')
	testenv.WantBytes(t, client, "hello")
	s.wantFailed(t, false)
}
