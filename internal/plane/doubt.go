package plane

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"pen/internal/dispatch"
)

// Doubts are connects from clients' own addresses that got no answer. Perhaps the
// answer had no way back to here, as with a client in the servers' own network:
// the server is held to have failed only where a connect from this machine's
// address fails as well. The zero value is ready.
type Doubts struct {
	odd Sometimes // servers that answer this machine only

	mu   sync.Mutex // guards all below
	busy map[netip.AddrPort]bool
}

// Failed tells a flow, and the log, that the server at t could not be reached. Where doubt
// is true the caller must run Verify, which blocks.
func (x *Doubts) Failed(f *dispatch.Flow, t dispatch.Target, err error, log *slog.Logger) (doubt bool) {
	why, doubt := x.Blame(t, err)
	level := slog.LevelDebug
	if f.Failed(why) {
		level = slog.LevelWarn
	}
	log.Log(context.Background(), level, "can't connect to server", "server", t.Slot, "address", t, "error", err)
	return doubt
}

// Blame is [Blame] for the connect to a target. Where doubt is true the caller must run
// Verify.
func (x *Doubts) Blame(t dispatch.Target, err error) (why error, doubt bool) {
	if !t.Transparent || !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.EHOSTUNREACH) && !errors.Is(err, syscall.ENETUNREACH) {
		return Blame(err), false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	doubt = !x.busy[t.Addr]
	if doubt {
		if x.busy == nil {
			x.busy = map[netip.AddrPort]bool{}
		}
		x.busy[t.Addr] = true
	}
	return fmt.Errorf("%w: from the client's address: %w", dispatch.ErrLocal, err), doubt
}

// Verify connects to a target from this machine's own address, and holds a failure
// against the server.
func (x *Doubts) Verify(ctx context.Context, d *dispatch.Dispatcher, t dispatch.Target, log *slog.Logger) {
	defer func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		delete(x.busy, t.Addr)
	}()
	if !d.Borrow(1) {
		return
	}
	defer d.GiveBack(1)
	t.Source, t.Transparent = netip.Addr{}, false
	c, err := Dial(ctx, Target(t))
	if err == nil {
		c.Close()
		if n := x.odd.Due(); n > 0 {
			log.Warn("server answers this machine, but no client's address", "server", t.Slot, "address", t, "times", n)
		}
		return
	}
	if d.SpareFailed(t, Blame(err)) {
		log.Warn("can't connect to server", "server", t.Slot, "address", t, "error", err)
	}
}
