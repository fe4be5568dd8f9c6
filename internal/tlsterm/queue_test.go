package tlsterm

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A race is a queue with one place, which is taken, and the names of those who got
// it, in order.
type race struct {
	*queue
	got  []string // by who has the place
	lost map[string]error
	gone chan string
}

func newRace(t *testing.T) *race {
	t.Helper()
	r := &race{queue: newQueue(1), lost: map[string]error{}, gone: make(chan string, 2*maxWaiting)}
	if waited, err := r.enter(t.Context(), netip.Prefix{}, time.Now(), time.Time{}); waited || err != nil {
		t.Fatalf("the first one waits (%v): %v", waited, err)
	}
	return r
}

// join has a client wait for the place, which it gives back at once.
func (r *race) join(ctx context.Context, name, from string, until time.Time) {
	began := time.Now()
	go func() {
		_, err := r.enter(ctx, networkOf(netip.MustParseAddr(from)), began, until)
		r.mu.Lock()
		if err == nil {
			r.got = append(r.got, name)
		} else {
			r.lost[name] = err
		}
		r.mu.Unlock()
		if err == nil {
			r.leave()
		}
	}()
	synctest.Wait()
}

func (r *race) want(t *testing.T, names ...string) {
	t.Helper()
	r.leave()
	synctest.Wait()
	if !slices.Equal(r.got, names) || r.busy != 0 || r.waiting != 0 || len(r.lines) != 0 || len(r.turns) != 0 || len(r.answered) != 0 {
		t.Errorf("the place went to %q, want %q; left are %+v", r.got, names, r.queue)
	}
}

// Networks take turns, however many wait of one of them.
func TestQueueIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		for i := range 5 {
			r.join(t.Context(), fmt.Sprint("flood", i), fmt.Sprint("192.0.2.", i), time.Time{})
		}
		r.join(t.Context(), "a", "198.51.100.1", time.Time{})
		r.join(t.Context(), "b", "2001:db8:0:1::1", time.Time{})
		r.join(t.Context(), "b2", "2001:db8:0:2::1", time.Time{})
		r.want(t, "flood0", "a", "b", "flood1", "b2", "flood2", "flood3", "flood4")
	})
}

// Those who have answered go before all others.
func TestQueueAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		r.join(t.Context(), "new", "192.0.2.1", time.Time{})
		go func() {
			if err := r.reenter(t.Context(), time.Time{}); err != nil {
				t.Error(err)
			}
			r.mu.Lock()
			r.got = append(r.got, "answered")
			r.mu.Unlock()
			r.leave()
		}()
		synctest.Wait()
		if err := r.reenter(t.Context(), time.Now().Add(time.Second)); !errors.Is(err, ErrBusy) {
			t.Errorf("after the end of its time: %v", err)
		}
		r.want(t, "answered", "new")
	})
}

// Who has waited for long comes after who has just come, who has waited for too
// long not at all, and nothing is computed for whom time is over.
func TestQueueTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		r.join(t.Context(), "old", "192.0.2.1", time.Time{})
		r.join(t.Context(), "hasty", "192.0.2.1", time.Now().Add(time.Second))
		time.Sleep(late)
		r.join(t.Context(), "fresh", "192.0.2.1", time.Time{})
		r.want(t, "fresh", "old")
		if err := r.lost["hasty"]; !errors.Is(err, ErrBusy) || len(r.lost) != 1 {
			t.Errorf("lost: %v", r.lost)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		r.join(t.Context(), "old", "192.0.2.1", time.Time{})
		time.Sleep(Patience)
		synctest.Wait()
		r.want(t)
		if err := r.lost["old"]; !errors.Is(err, ErrBusy) {
			t.Errorf("after its patience: %v", err)
		}
		if _, err := r.enter(t.Context(), netip.Prefix{}, time.Now().Add(-Patience), time.Time{}); !errors.Is(err, ErrBusy) {
			t.Errorf("an old hello: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		ctx, cancel := context.WithCancel(t.Context())
		r.join(ctx, "killed", "192.0.2.1", time.Time{})
		r.join(t.Context(), "other", "192.0.2.1", time.Time{})
		cancel()
		synctest.Wait()
		r.want(t, "other")
		if err := r.lost["killed"]; !errors.Is(err, context.Canceled) {
			t.Errorf("killed: %v", err)
		}
	})
}

// There is room until there is a crowd, and again when there is none. The longest
// line loses its oldest where there is too much of one.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRace(t)
		var room <-chan struct{}
		for i := range maxWaiting {
			if room = r.Room(); (room == nil) != (i < crowd) {
				t.Fatalf("with %d there is room: %v", i, room == nil)
			}
			r.join(t.Context(), fmt.Sprint("flood", i), "192.0.2.1", time.Time{})
		}
		r.join(t.Context(), "a", "198.51.100.1", time.Time{})
		r.join(t.Context(), "b", "198.51.100.2", time.Time{})
		if r.waiting != maxWaiting || !errors.Is(r.lost["flood0"], ErrBusy) || !errors.Is(r.lost["flood1"], ErrBusy) || len(r.lost) != 2 {
			t.Errorf("%d wait, lost are %v", r.waiting, r.lost)
		}
		select {
		case <-room:
			t.Error("there is said to be room")
		default:
		}
		r.leave()
		<-room
		synctest.Wait()
		if len(r.got) != maxWaiting || r.got[1] != "a" || r.got[3] != "b" || r.Room() != nil {
			t.Errorf("%d got the place, first %v", len(r.got), r.got[:4])
		}
	})
}
