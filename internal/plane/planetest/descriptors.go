package planetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/testenv"
)

// childEnv marks the process whose descriptors may run out.
const childEnv = "PEN_PLANETEST_CHILD"

// noDescriptors runs outOfDescriptors in a process of its own.
func noDescriptors(t *testing.T, build New) {
	if os.Getenv(childEnv) != "" {
		outOfDescriptors(t, build)
		return
	}
	startChild(t, childEnv, "1").wantPass(t)
}

// While the process is out of descriptors, flows go on and the accept loop does not
// spin. Afterwards the clients that have waited are served.
func outOfDescriptors(t *testing.T, build New) {
	s := start(t, build, testenv.Loopback, config(testenv.Echo(t)))
	early := s.dial(t)
	echo(t, early)

	// The limit is lowered when the late client has its socket but has not connected
	// yet. It may be lower than the number of open descriptors.
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = 1
	dialer := net.Dialer{Control: func(_, _ string, _ syscall.RawConn) error {
		return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low)
	}}
	c, err := dialer.Dial("tcp", s.ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	late := testenv.Own(t, c)
	testenv.Write(t, late, "echo")

	if used := cpuTime(t, time.Second); used > 500*time.Millisecond {
		t.Errorf("%v of CPU time used in a second without descriptors", used)
	}
	echo(t, early)
	echoMuch(t, early, 4<<20)
	if n := len(s.d.Status().Flows); n != 1 {
		t.Errorf("%d flows without descriptors, want 1", n)
	}

	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	testenv.WantBytes(t, late, "echo")
	echo(t, s.dial(t))
	s.wantFailed(t, false)
}

// cpuTime returns the CPU time that the process uses in a while.
func cpuTime(t *testing.T, while time.Duration) time.Duration {
	used := func() time.Duration {
		var ru syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
			t.Fatal(err)
		}
		return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	}
	before := used()
	time.Sleep(while)
	return used() - before
}

// scarceEnv marks the process that has few descriptors. It has the address of the
// server.
const scarceEnv = "PEN_PLANETEST_SCARCE"

// scarce is the limit of connections in that process.
const scarce = 40

// bulkAtTheLimit runs a plane in a process that has descriptors for these connections
// and few others. Its clients read bulk for a while and then stop: their pipes must not
// take the descriptors of later clients, which come and go, and must all be served.
func bulkAtTheLimit(t *testing.T, build New) {
	if addr := os.Getenv(scarceEnv); addr != "" {
		serveScarce(t, build, netip.MustParseAddrPort(addr))
		return
	}
	server := testenv.Serve(t, func(c testenv.Conn) {
		chunk := make([]byte, 64<<10)
		for {
			if _, err := c.Write(chunk); err != nil {
				return
			}
		}
	})
	child := startChild(t, scarceEnv, server.String())
	addr := child.await(t, "listens on ")
	at, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	const some = 1 << 20
	var clients []testenv.Conn
	for range scarce {
		c := testenv.Dial(t, at)
		if n, err := io.CopyN(io.Discard, struct{ io.Reader }{c}, some); err != nil {
			t.Fatalf("client %d: %d bytes of %d, %v", len(clients), n, some, err)
		}
		clients = append(clients, c)
	}
	for i := range 3 * scarce {
		clients[i%scarce].Close()
		c := testenv.Dial(t, at)
		if n, err := io.CopyN(io.Discard, struct{ io.Reader }{c}, some/8); err != nil {
			t.Fatalf("later client %d: %d bytes, %v", i, n, err)
		}
		clients[i%scarce] = c
	}
	child.in.Close()
	child.wantPass(t)
}

// serveScarce runs in the process that has few descriptors.
func serveScarce(t *testing.T, build New, server netip.AddrPort) {
	const (
		cost  = 2
		spare = 8 // for the list of descriptors, and for one that is accepted too early
	)
	cfg := config(server)
	cfg.Budget, cfg.FlowCost = dispatch.NewBudget(scarce*cost), cost
	s := start(t, build, testenv.Loopback, cfg)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	setCur(&limit.Cur, testenv.Descriptors(t)+scarce*cost+spare)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	fmt.Println("listens on " + s.ln.Addr().String())
	bufio.NewReader(os.Stdin).ReadString('\n')
	s.wantFailed(t, false)
	s.wantRefused(t, dispatch.NoServer, 0)
}

// setCur sets a limit, which is signed on some systems.
func setCur[T int64 | uint64](cur *T, n int) { *cur = T(n) }
