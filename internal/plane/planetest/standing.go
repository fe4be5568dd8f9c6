package planetest

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// serverEnv marks the process that is stopped. It has the address of the server.
const serverEnv = "PEN_PLANETEST_SERVER"

// standing are the tests of a plane whose process is stopped.
var standing = []conformance{
	{"stopped while connecting", stopped},
}

// connectTime is how long a connect may take in the process that is stopped.
const connectTime = 3 * time.Second

// stopped stops a process with a plane while it connects, for longer than a connect may
// take. The server accepts meanwhile, and must not be blamed.
func stopped(t *testing.T, build New) {
	if addr := os.Getenv(serverEnv); addr != "" {
		connectAndStop(t, build, netip.MustParseAddrPort(addr))
		return
	}
	server, queued := testenv.FullListener(t)
	child := startChild(t, serverEnv, server.AddrPort().String())
	child.await(t, "connecting")
	if err := child.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range queued {
		server.Next(t).Close()
	}
	conn := server.Next(t)
	// The time that the process misses is what the test is about: a little more than a
	// connect may take.
	time.Sleep(connectTime + time.Second)
	if err := child.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	io.WriteString(child.in, "goes on\n")
	// The plane may have given up this connection and made another one.
	buf := make([]byte, len("hello"))
	for _, err := io.ReadFull(conn, buf); err != nil; _, err = io.ReadFull(conn, buf) {
		conn = server.Next(t)
	}
	testenv.Write(t, conn, "hello")
	child.wantPass(t)
}

// connectAndStop runs in the process that is stopped.
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
