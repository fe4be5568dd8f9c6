package app

import (
	"bufio"
	"sync/atomic"
	"testing"

	"pen/internal/config"
	"pen/internal/testenv"
)

// A fakeMemory is used by so many bytes.
type fakeMemory struct{ used atomic.Int64 }

func (m *fakeMemory) Used() (int64, error) { return m.used.Load(), nil }

// While memory is nearly used up clients wait in the kernel's queue; but for a
// program that has few connections, which can't be what uses it.
func TestNoMemory(t *testing.T) {
	testenv.CheckLeaks(t)
	const limit = 1000
	a := start(t, "127.0.0.1:0", named(t, "one"))
	m := new(fakeMemory)
	a.spawn(func() { a.watchMemory(m, limit) })
	m.used.Store(limit)
	for range fewFlows {
		c := connect(t, a.Addr()) // to the end of the test
		if line, err := bufio.NewReader(c).ReadString('\n'); line != "one\n" {
			t.Fatalf("with few connections: %q, %v", line, err)
		}
	}
	d := a.cfg.Load().services[config.DefaultService].d
	testenv.Eventually(t, "no client is let in", func() bool { return d.Room() != nil })
	late := make(chan string, 1)
	go func() { late <- visit(t, a.Addr()) }()
	m.used.Store(limit * 7 / 10)
	if got := <-late; got != "one" {
		t.Errorf("with memory again: %q", got)
	}
}
