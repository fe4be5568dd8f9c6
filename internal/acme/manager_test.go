package acme

import (
	"errors"
	"testing"
	"time"
)

// Failures are retried after pauses that double up to a limit, and a success resets
// them.
func TestAttempts(t *testing.T) {
	now, interval := time.Unix(0, 0), time.Hour
	var a attempt
	for _, want := range []time.Duration{1, 2, 4, 8} {
		a.ended(errors.New("no"), time.Minute, interval, now)
		if got := a.next.Sub(now); got != want*time.Minute {
			t.Errorf("next attempt after %v, want %v", got, want*time.Minute)
		}
	}
	for range 20 {
		a.ended(errors.New("no"), time.Minute, interval, now)
	}
	if got := a.next.Sub(now); got != lastPause {
		t.Errorf("next attempt after %v, want %v at most", got, lastPause)
	}
	a.ended(nil, time.Minute, interval, now)
	if got := a.next.Sub(now); got != interval {
		t.Errorf("next check after %v, want %v", got, interval)
	}
	a.ended(errors.New("no"), time.Minute, interval, now)
	if got := a.next.Sub(now); got != time.Minute {
		t.Errorf("first pause after a success %v, want %v", got, time.Minute)
	}
}
