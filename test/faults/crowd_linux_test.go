package faults_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A crowd is clients that send requests to a service all the time, each by a new
// connection. Every second request comes from an address that was seen before.
type crowd struct {
	svc   *service
	limit time.Duration // for one answer
	quit  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup

	mu       sync.Mutex
	answers  map[string]int // by address of the server
	failures int
	first    error
	longest  time.Duration // longest time without an answer for one client
}

const crowdSize = 2

// crowd starts a crowd. It stops with the test at the latest.
func (svc *service) crowd(t *testing.T, limit time.Duration) *crowd {
	c := &crowd{svc: svc, limit: limit, quit: make(chan struct{}), answers: map[string]int{}}
	for i := range crowdSize {
		c.wg.Go(func() {
			// The whole loop is on one thread that is in the namespace.
			if err := svc.site.net.In(func() error { c.run(i); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(c.stop)
	return c
}

func (c *crowd) run(who int) {
	ticker := time.NewTicker(c.svc.kind.Pace)
	defer ticker.Stop()
	var failing time.Time
	for n := 0; ; n++ {
		select {
		case <-c.quit:
			return
		case <-ticker.C:
		}
		from := fmt.Sprintf("127.0.2.%d", 1+who)
		if n%2 == 1 {
			from = fmt.Sprintf("127.%d.%d.%d", 3+who, n/2>>8&255, n/2&255)
		}
		begin := time.Now()
		server, err := c.svc.kind.Ask(c.svc.listen, from, c.limit)
		if err != nil && failing.IsZero() {
			failing = begin
		}
		c.mu.Lock()
		if err != nil {
			c.failures++
			if c.first == nil {
				c.first = err
			}
		} else {
			c.answers[server]++
		}
		if !failing.IsZero() {
			c.longest = max(c.longest, time.Since(failing))
		}
		c.mu.Unlock()
		if err == nil {
			failing = time.Time{}
		}
	}
}

// stop stops the crowd and waits for its last requests.
func (c *crowd) stop() {
	c.once.Do(func() { close(c.quit) })
	c.wg.Wait()
}

// of returns the number of answers from a server, and from all servers.
func (c *crowd) of(addr string) (n, all int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for a, m := range c.answers {
		all += m
		if a == addr {
			n += m
		}
	}
	return n, all
}

// enough is the number of answers that shows that a service works.
const enough = 10

// wantMore waits for more answers and checks that no request failed.
func (c *crowd) wantMore(t *testing.T, when string) {
	t.Helper()
	_, before := c.of("")
	c.await(t, when, func() bool { _, all := c.of(""); return all >= before+enough })
	c.check(t, when)
}

// await waits for a condition. A request that fails ends the wait.
func (c *crowd) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	testenv.Eventually(t, what, func() bool {
		c.mu.Lock()
		failed := c.failures > 0
		c.mu.Unlock()
		return failed || ok()
	})
}

// check fails the test if a client had no answer.
func (c *crowd) check(t *testing.T, when string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failures > 0 {
		t.Fatalf("%s: %s, %d clients had no answer, the first: %v; answers: %v\n%s",
			c.svc.name, when, c.failures, c.first, c.answers, c.svc.site.pen.Ask("service "+c.svc.name+" state"))
	}
}
