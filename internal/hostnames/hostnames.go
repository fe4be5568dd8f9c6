// Package hostnames puts host names in the place of the addresses at the
// beginning of log lines (webresolve). It asks DNS for many at once, remembers
// the answers, and does not wait for a DNS that does not answer.
package hostnames

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"pen/internal/wire"
)

const (
	// failures in a row, without an answer between them, after which nothing
	// is asked for the time of pause. Then one question tries again.
	failures = 10
	pause    = 30 * time.Second
	// retry is how long a failure is remembered.
	retry = 10 * time.Minute
)

// A Lookup asks for the name of an address. "" is the answer that it has none;
// an error is that there was no answer. It blocks until ctx is done at most.
type Lookup func(ctx context.Context, addr netip.Addr) (string, error)

// Options say how Names asks.
type Options struct {
	Lookup   Lookup
	Parallel int           // questions at once, at least 1
	Timeout  time.Duration // of one question
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

// Skipped is how many questions were not asked since those before had no
// answer.
func (n *Names) Skipped() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.skipped
}

// cached returns a name, or "" for none, that is known without asking.
func (n *Names) cached(addr netip.Addr) (name string, ok bool) {
	return n.opt.Cache.get(addr, n.opt.Now())
}

// name asks for a name, unless it is known. It blocks for the time-out at
// most. "" is that there is none, or no answer.
func (n *Names) name(ctx context.Context, addr netip.Addr) string {
	if name, ok := n.cached(addr); ok {
		return name
	}
	if !n.mayAsk() {
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

// mayAsk reports whether DNS may be asked now. After a pause it lets one
// question through, and begins the next pause for the others.
func (n *Names) mayAsk() bool {
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
