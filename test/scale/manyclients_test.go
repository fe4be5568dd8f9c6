package scale_test

import (
	"flag"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pen/internal/testenv"
	"pen/test/internal/lab"

	"golang.org/x/net/ipv4"
)

// manyClients is the number of clients in TestManyClients and TestRestoredClients.
// `make faults` sets a million.
var manyClients = flag.Int("clients", 40_000, "clients in TestManyClients and TestRestoredClients")

const (
	// Bounds of Pen's memory: for each flow, and for Pen itself.
	memoryPerFlow = 12 << 10
	memoryBase    = 64 << 20
	conversations = 20
	stranger      = "stranger"
)

// Many UDP clients send one datagram each: Pen's memory stays bounded, and other
// clients that send all the time are always answered, over the same flow.
func TestManyClients(t *testing.T) {
	server, got := countingServer(t)
	listen := testenv.Unused(t)
	p := lab.StartPen(t, lab.Setup{Plain: true, Args: []string{"-U", "-c", "100000", listen, server}})
	stop := make(chan struct{})
	results := make(chan int, conversations)
	for i := range conversations {
		go func() { results <- converse(t, listen, fmt.Sprintf("127.0.0.%d", 2+i), stop) }()
	}
	begin := time.Now()
	sendMany(t, listen, *manyClients, got)
	took := time.Since(begin)
	close(stop)
	answers := 0
	for range conversations {
		answers += <-results
	}
	flows := connections(t, p)
	peak := p.PeakMemory()
	t.Logf("%d clients in %v (%.0f a second), %d flows, %d answers in %d conversations, at most %.1f MiB of memory (%.1f KiB a flow)\n%s",
		*manyClients, took.Round(time.Millisecond), float64(*manyClients)/took.Seconds(), flows, answers, conversations,
		float64(peak)/(1<<20), float64(peak)/1024/float64(flows), droppedLine(p.Ask("status")))
	if bound := memoryBase + flows*memoryPerFlow; peak > bound {
		t.Errorf("%d MiB of memory, the bound for %d flows is %d MiB", peak>>20, flows, bound>>20)
	}
}

// countingServer echoes datagrams of strangers and counts them. It answers other
// datagrams with the address that they came from.
func countingServer(t *testing.T) (addr string, got *atomic.Int64) {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadBuffer(4 << 20)
	got = &atomic.Int64{}
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if string(buf[:n]) == stranger {
				got.Add(1)
				c.WriteToUDPAddrPort(buf[:n], from)
			} else {
				c.WriteToUDPAddrPort([]byte(from.String()), from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-over
	})
	return c.LocalAddr().String(), got
}

// sendMany sends one datagram from each of n addresses of loopback, no faster than the
// server counts them.
func sendMany(t *testing.T, to string, n int, got *atomic.Int64) {
	t.Helper()
	const window = 256
	c, err := net.ListenUDP("udp", &net.UDPAddr{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Minute)
	for i := range n {
		from := (&ipv4.ControlMessage{Src: net.IPv4(127, byte(16+i>>16), byte(i>>8), byte(i))}).Marshal()
		if _, _, err := c.WriteMsgUDP([]byte(stranger), from, addr); err != nil {
			t.Fatal(err)
		}
		for int64(i)-got.Load() > window {
			if time.Now().After(deadline) {
				t.Fatalf("only %d of %d datagrams arrived", got.Load(), i)
			}
			time.Sleep(100 * time.Microsecond)
		}
	}
}

// converse sends datagrams and waits for the answers until stop is closed, and returns
// the number of answers. A missing answer is an error. So is an answer over another
// flow, once the flow has been answered twice.
func converse(t *testing.T, at, from string, stop <-chan struct{}) (answers int) {
	c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}).Dial("udp", at)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer c.Close()
	buf := make([]byte, 64)
	flow := ""
	for {
		select {
		case <-stop:
			return answers
		case <-time.After(10 * time.Millisecond):
		}
		c.SetDeadline(time.Now().Add(testenv.Limit))
		if _, err := c.Write([]byte("ping")); err != nil {
			t.Error(err)
			return answers
		}
		n, err := c.Read(buf)
		if err != nil || answers > 2 && string(buf[:n]) != flow {
			t.Errorf("after %d answers over flow %s: %q %v", answers, flow, buf[:n], err)
			return answers
		}
		flow = string(buf[:n])
		answers++
	}
}

var connCount = regexp.MustCompile(` conn (\d+) `)

// connections returns the number of connections of all servers.
func connections(t *testing.T, p *lab.Pen) int {
	t.Helper()
	total := 0
	for _, m := range connCount.FindAllStringSubmatch(p.Ask("servers"), -1) {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}

func droppedLine(status string) string {
	for line := range strings.Lines(status) {
		if strings.Contains(line, "dropped") {
			return line
		}
	}
	return ""
}
