// Package hostnames replaces the addresses at the beginning of log lines by host names
// (webresolve). It looks up many addresses at once, caches the answers, and stops waiting
// for DNS servers that do not reply.
package hostnames

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"pen/internal/wire"
)

const (
	// After failures look-ups in a row without an answer there are none for the time of
	// pause. Then a single one tries again.
	failures = 10
	pause    = 30 * time.Second
	// retry is how long a failure is cached.
	retry = 10 * time.Minute
)

// A Lookup looks up the name of an address. It returns "" for an address without a name, and
// an error if there was no answer. It blocks at most until ctx is done.
type Lookup func(ctx context.Context, addr netip.Addr) (string, error)

// Options configure Names.
type Options struct {
	Lookup   Lookup
	Parallel int           // look-ups at once, at least 1
	Timeout  time.Duration // of one look-up
	Cache    *Cache        // the caller loads and saves it
	Now      func() time.Time
}

// Names finds names of addresses. It may be used from any goroutine.
type Names struct {
	opt Options

	mu      sync.Mutex // guards all below
	failed  int        // in a row
	until   time.Time
	skipped int
}

// New returns a Names; it starts nothing.
func New(o Options) *Names {
	o.Parallel = max(o.Parallel, 1)
	return &Names{opt: o}
}

// Skipped is how many look-ups were left out because those before them had no answer.
func (n *Names) Skipped() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.skipped
}

// cached returns a name, or "" for none, from the cache.
func (n *Names) cached(addr netip.Addr) (name string, ok bool) {
	return n.opt.Cache.get(addr, n.opt.Now())
}

// name returns the name of an address, from the cache or by a look-up, or "" if there is
// none or no answer. It blocks for at most the timeout.
func (n *Names) name(ctx context.Context, addr netip.Addr) string {
	if name, ok := n.cached(addr); ok {
		return name
	}
	if !n.mayLookUp() {
		return ""
	}
	limited, cancel := context.WithTimeout(ctx, n.opt.Timeout)
	defer cancel()
	name, err := n.opt.Lookup(limited, addr)
	if ctx.Err() != nil {
		return ""
	}
	n.answered(err == nil)
	if err == nil && !acceptable(name) {
		name = ""
	}
	n.opt.Cache.put(addr, name, n.opt.Now(), err == nil)
	return name
}

// mayLookUp reports whether a look-up may start now. After a pause it lets one through, and
// starts the next pause for the others.
func (n *Names) mayLookUp() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed < failures {
		return true
	}
	now := n.opt.Now()
	if now.Before(n.until) {
		n.skipped++
		return false
	}
	n.until = now.Add(pause)
	return true
}

func (n *Names) answered(ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if ok {
		n.failed = 0
		return
	}
	n.failed++
	if n.failed >= failures {
		n.until = n.opt.Now().Add(pause)
	}
}

// acceptable reports whether a name may be written to a log. The owner of an address
// decides what DNS says of it: it must not pass for another part of the line, or for
// somebody else's address.
func acceptable(name string) bool {
	_, ok := wire.HostName(name)
	return ok
}
