package loop

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// What goes wrong from a client's address is held against a server only where a
// connect from this machine's own fails as well.
func TestDoubts(t *testing.T) {
	testenv.CheckLeaks(t)
	log := slog.New(slog.DiscardHandler)
	alive := testenv.Echo(t)
	for name, tt := range map[string]struct {
		server      netip.AddrPort
		transparent bool
		err         error
		local       bool // not held against the server by itself
		failed      bool // but in the end
	}{
		"a time-out, the server is alive":   {alive, true, os.ErrDeadlineExceeded, true, false},
		"a time-out, and here as well":      {testenv.Blackhole(t), true, os.ErrDeadlineExceeded, true, true},
		"no way back, the server is alive":  {alive, true, syscall.EHOSTUNREACH, true, false},
		"it refuses":                        {testenv.Refused(t), true, syscall.ECONNREFUSED, false, true},
		"from this machine's own address":   {alive, false, os.ErrDeadlineExceeded, false, true},
		"something that this machine lacks": {alive, true, syscall.EMFILE, true, false},
	} {
		cfg := dispatch.Config{ACLs: &acl.Lists{}, ClientsMax: 9, ConnMax: 9, Budget: dispatch.NewBudget(9)}
		cfg.Pool.Blacklist = time.Hour
		cfg.Pool.Servers = []pool.Config{{Addr: tt.server, Weight: 1}, {Addr: alive, Weight: 1}}
		d := dispatch.New(cfg, func() time.Duration { return 0 })
		target := dispatch.Target{Slot: 0, Addr: tt.server, Timeout: 50 * time.Millisecond, Transparent: tt.transparent, Source: netip.MustParseAddr("192.0.2.1")}
		var doubts plane.Doubts
		why, doubt := doubts.Blame(target, tt.err)
		if local := errors.Is(why, dispatch.ErrLocal); local != tt.local || !errors.Is(why, tt.err) {
			t.Errorf("%s: %v, local %v, want %v", name, why, local, tt.local)
		}
		if _, again := doubts.Blame(target, tt.err); again {
			t.Errorf("%s: verified twice at a time", name)
		}
		if doubt {
			doubts.Verify(context.Background(), d, target, log)
		} else {
			d.SpareFailed(target, why)
		}
		if failed := d.Servers()[0].Failed; failed != tt.failed {
			t.Errorf("%s: failed %v, want %v", name, failed, tt.failed)
		}
		if !d.Borrow(9) {
			t.Errorf("%s: a descriptor is not given back", name)
		}
	}
}
