package lab

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Load makes HTTP requests, each by a new connection, at a steady rate from many
// addresses. It counts the results of those that it starts after Count was called.
type Load struct {
	addr     string
	quit     chan struct{}
	wg       sync.WaitGroup
	counting atomic.Bool
	start    time.Time
	ok       atomic.Int64
	failed   atomic.Int64

	mu    sync.Mutex // guards first
	first string     // the first failure
}

const loadWorkers = 50

// NewLoad starts to make requests at a rate per second.
func NewLoad(addr string, rate int) *Load {
	l := &Load{addr: addr, quit: make(chan struct{}), start: time.Now()}
	tickets := make(chan struct{}, 4*loadWorkers)
	l.wg.Go(func() { l.issue(rate, tickets) })
	for i := range loadWorkers {
		from := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i))}
		l.wg.Go(func() {
			for range tickets {
				l.request(from)
			}
		})
	}
	return l
}

// Count counts requests from now on.
func (l *Load) Count() { l.counting.Store(true) }

// Counted returns the number of requests that were counted.
func (l *Load) Counted() int64 { return l.ok.Load() + l.failed.Load() }

// Failed returns how many of them failed.
func (l *Load) Failed() int64 { return l.failed.Load() }

// Result describes the load. Call it after Stop.
func (l *Load) Result() string {
	return fmt.Sprintf("%d of %d requests failed, %.0f a second; the first: %q",
		l.Failed(), l.Counted(), float64(l.Counted())/time.Since(l.start).Seconds(), l.first)
}

// issue issues the tickets that are due, every millisecond.
func (l *Load) issue(rate int, tickets chan<- struct{}) {
	defer close(tickets)
	start, issued := time.Now(), 0
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		for due := int(time.Since(start).Seconds() * float64(rate)); issued < due; issued++ {
			select {
			case tickets <- struct{}{}:
			case <-l.quit:
				return
			}
		}
	}
}

func (l *Load) request(from *net.TCPAddr) {
	counts := l.counting.Load() // before the connection is made
	_, err := Fetch(l.addr, from)
	switch {
	case !counts:
	case err == nil:
		l.ok.Add(1)
	default:
		l.failed.Add(1)
		l.mu.Lock()
		if l.first == "" {
			l.first = err.Error()
		}
		l.mu.Unlock()
	}
}

// Stop stops the load and waits for requests that are under way.
func (l *Load) Stop() {
	close(l.quit)
	l.wg.Wait()
}
