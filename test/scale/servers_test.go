// Package scale_test tests Pen with many servers, many clients, and many changes at high
// load.
package scale_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

const (
	manyServices  = 100
	serversEach   = 100
	reloadAtMost  = 10 * time.Second // a second is the aim; this machine may be busy
	memoryForMany = 300 << 20
)

// With ten thousand servers in a hundred services, or in one, Pen reloads quickly,
// stays below a bound of memory, and serves clients, also while it checks each server.
func TestManyServers(t *testing.T) {
	for _, c := range []struct {
		name     string
		services int
		check    string
	}{
		{"a hundred services", manyServices, ""},
		{"one service", 1, ""},
		{"checked", manyServices, "check tcp interval 5s"},
	} {
		t.Run(c.name, func(t *testing.T) { testManyServers(t, c.services, c.check) })
	}
}

func testManyServers(t *testing.T, services int, check string) {
	server := &lab.NameServer{Name: "here", Addr: "0.0.0.0:0"} // on all of 127.0.0.0/8
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Addr)
	_, free, _ := net.SplitHostPort(testenv.Unused(t))
	listen := make([]string, services) // each at an address of its own
	for i := range listen {
		listen[i] = fmt.Sprintf("127.99.0.%d:%s", 1+i, free)
	}
	begin := time.Now()
	p := lab.StartPen(t, lab.Setup{Plain: true, Plane: "auto", Config: manyServersText(listen, port, check, -1)})
	started := time.Since(begin)
	each := manyServices * serversEach / services
	if check != "" {
		for i := range listen {
			p.Await("all checks", func() bool { return strings.Count(p.Ask("service s%d state", i), " check tcp up") == each })
		}
	}
	var took []time.Duration
	for turn := range 3 {
		d := p.Reload(manyServersText(listen, port, check, turn))
		if took = append(took, d.Round(time.Millisecond)); d > reloadAtMost {
			t.Errorf("reload %d took %v", turn, d)
		}
		for i := range listen {
			if n := strings.Count(p.Ask("service s%d servers", i), " weight 2 "); n != 1 {
				t.Fatalf("after reload %d service s%d has %d servers of another weight, want 1", turn, i, n)
			}
		}
	}
	for _, at := range []string{listen[0], listen[len(listen)-1]} {
		c, name := lab.Call(at, nil)
		if name != server.Name {
			t.Fatalf("at %s: %q", at, name)
		}
		c.Close()
	}
	peak := p.PeakMemory()
	t.Logf("start %v, reloads %v, stop %v, at most %d MiB of memory", started.Round(time.Millisecond), took, p.Stop().Round(time.Millisecond), peak>>20)
	if peak > memoryForMany {
		t.Errorf("%d MiB of memory, want at most %d", peak>>20, memoryForMany>>20)
	}
}

// manyServersText returns a configuration of ten thousand servers, each at an address
// of its own. In each service the server with slot heavy has another weight.
func manyServersText(listen []string, port, check string, heavy int) string {
	var b strings.Builder
	each := manyServices * serversEach / len(listen)
	for i, at := range listen {
		fmt.Fprintf(&b, "service s%d\nlisten %s\n%s\n", i, at, check)
		for slot := range each {
			n, weight := i*each+slot, 1
			if slot == heavy {
				weight = 2
			}
			fmt.Fprintf(&b, "server %d address 127.%d.%d.%d port %s weight %d\n", slot, 1+n/40_000, n/200%200, 1+n%200, port, weight)
		}
	}
	return b.String()
}
