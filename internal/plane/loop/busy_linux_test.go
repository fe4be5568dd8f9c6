package loop

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// While a loop always has more events than it takes at a time, the time of a
// connect goes on: a client whose first server does not answer gets to another.
func TestTimersGoOffWhileBusy(t *testing.T) {
	testenv.CheckLeaks(t)
	const conns = eventBatch + 100
	testenv.NeedDescriptors(t, 4*conns+100)
	s := serve(t, testenv.Echo(t), func(cfg *dispatch.Config) {
		cfg.NoTracking = true
		cfg.ConnectTimeout = 100 * time.Millisecond
		cfg.Pool.Algorithm = pool.Prio
		cfg.Pool.Servers[0].Prio = 1
		cfg.Pool.Servers = append(cfg.Pool.Servers, pool.Config{Addr: testenv.Blackhole(t), Weight: 1, Admin: pool.Disabled})
		// The loop is to be what is slow.
		cfg.Watch, cfg.Observer = dispatch.WatchClients, slowReader{}
	})
	stop := make(chan struct{})
	var busy sync.WaitGroup
	defer busy.Wait()
	defer close(stop)
	for range conns {
		c := testenv.Dial(t, s.Addr())
		busy.Go(func() {
			b := make([]byte, 1)
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := c.Write(b); err != nil {
					return
				}
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
			}
		})
	}
	testenv.Eventually(t, "all are served", func() bool {
		for _, f := range s.d.Status().Flows {
			if f.ToClient == 0 {
				return false
			}
		}
		return true
	})
	s.configure(func(cfg *dispatch.Config) { cfg.Pool.Servers[1].Admin = pool.Enabled })
	c := testenv.Dial(t, s.Addr())
	testenv.Write(t, c, "x")
	testenv.WantBytes(t, c, "x")
	if !s.d.Servers()[1].Failed {
		t.Error("the server that does not answer was not tried")
	}
}

// Those who wait in the queue when a plane ends are served, also behind a
// connection that is broken already.
func TestRestOfTheQueueIsServed(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, errno := range []syscall.Errno{syscall.ECONNABORTED, syscall.EINTR} {
		p := listen(t, 1)
		calls := 0
		p.accept = func(listener int) (int32, netip.AddrPort, syscall.Errno) {
			if calls++; calls%2 != 0 {
				return -1, netip.AddrPort{}, errno
			}
			return accept(listener)
		}
		var clients []testenv.Conn
		for range 4 {
			clients = append(clients, testenv.Dial(t, p.Addr()))
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s := serveOn(t, p, ctx, testenv.Echo(t), nil)
		for _, c := range clients {
			testenv.Write(t, c, "x")
			testenv.WantBytes(t, c, "x")
		}
		s.stop()
	}
}

// A slowReader takes its time over what is read.
type slowReader struct{ dispatch.NoObserver }

func (slowReader) Read(netip.Addr, string, bool, []byte) {
	for end := time.Now().Add(50 * time.Microsecond); time.Now().Before(end); {
	}
}
