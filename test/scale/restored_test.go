package scale_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pen/internal/client"
	"pen/internal/testenv"
	"pen/test/internal/lab"
)

const (
	// memoryPerClient bounds Pen's memory for each remembered client.
	memoryPerClient = 256
	// stopAtMost bounds a stop without a table to save, which takes a tenth of a second
	// on an idle machine.
	stopAtMost = 5 * time.Second
)

// A Pen with a large client table restores it at the start, serves, and saves it when
// it stops. Without a table file it stops at once.
func TestRestoredClients(t *testing.T) {
	server := httpServer(t, "server")
	listen := testenv.Unused(t)
	file := filepath.Join(t.TempDir(), "clients")
	host, port, _ := strings.Cut(server, ":")
	text := fmt.Sprintf("service web\nlisten %s\nserver 0 address %s port %s\nclients_max %d\n", listen, host, port, *manyClients)
	saveClients(t, file, server)

	begin := time.Now()
	p := lab.StartPen(t, lab.Setup{Plain: true, Plane: "auto", Config: text + "table_file " + file + "\n"})
	started := time.Since(begin)
	if said := fmt.Sprintf("clients=%d ", *manyClients); !strings.Contains(lab.ReadFile(p.Log), said) {
		t.Fatalf("the log does not say %s", said)
	}
	for _, i := range []int{0, *manyClients / 2, *manyClients - 1} {
		if reply := p.Ask("service web explain %s", restoredClient(i)); !strings.Contains(reply, "remembered at server 0") {
			t.Errorf("client %v: %s", restoredClient(i), reply)
		}
	}
	answerTo(t, listen, "127.0.0.1") // one more than the table holds
	peak := p.PeakMemory()
	saving := p.Stop()

	begin = time.Now()
	p = lab.StartPen(t, lab.Setup{Plain: true, Plane: "auto", Config: text + "table_file " + file + "\n"})
	again := time.Since(begin)
	if said := fmt.Sprintf("clients=%d ", *manyClients); !strings.Contains(lab.ReadFile(p.Log), said) {
		t.Errorf("after a stop the log does not say %s", said)
	}
	p.Ask("service web no table_file")
	stopped := p.Stop()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d clients: start %v, and again %v; stop with saving %v, without %v; %d MiB in the file, at most %d MiB of memory", *manyClients,
		started.Round(time.Millisecond), again.Round(time.Millisecond), saving.Round(time.Millisecond), stopped.Round(time.Millisecond), info.Size()>>20, peak>>20)
	if stopped > stopAtMost {
		t.Errorf("the stop took %v", stopped)
	}
	if bound := memoryBase + *manyClients*memoryPerClient; peak > bound {
		t.Errorf("%d MiB of memory, the bound is %d MiB", peak>>20, bound>>20)
	}
}

// restoredClient returns the address of the i-th client.
func restoredClient(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

// saveClients writes the table file of a Pen that remembers many clients of one server.
func saveClients(t *testing.T, name, server string) {
	t.Helper()
	table := client.New(*manyClients)
	ids, _ := table.Intern([]client.Identity{{Address: server}})
	for i := range *manyClients {
		table.Assign(restoredClient(i), ids[0], 0)
	}
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := table.Save(f, time.Now(), 0); err != nil {
		t.Fatal(err)
	}
}
