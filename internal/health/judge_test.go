package health

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pen/internal/check"
)

// A failure does not count if this process was late: nobody goes down, however
// often that is. Without a delay the same failures count.
func TestLateness(t *testing.T) {
	for _, tt := range []struct {
		name string
		late func(l *lab) // what happens during a check of 200ms
		want check.State
	}{
		{"in time", func(*lab) {}, check.Down},
		{"a little late", func(l *lab) { l.freeze(30 * time.Millisecond) }, check.Down},
		{"stopped", func(l *lab) { l.freeze(10 * time.Second) }, check.Up},
		{"stopped for less than the timeout", func(l *lab) { l.freeze(300 * time.Millisecond) }, check.Up},
		{"starved", func(l *lab) {
			for range 4 {
				l.freeze(90 * time.Millisecond)
				time.Sleep(30 * time.Millisecond)
			}
		}, check.Up},
		{"the check took too long", func(*lab) { time.Sleep(5 * time.Second) }, check.Up},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l *lab
				l = newLab(func(context.Context, Target) Outcome {
					time.Sleep(100 * time.Millisecond)
					tt.late(l)
					time.Sleep(100 * time.Millisecond)
					return outcome(check.Failed)
				}, 0)
				defer l.Close()
				l.Set([]Target{aTarget(t, 1, "tcp interval 1 timeout 1 fall 2 start up")})
				l.during(time.Minute)
				s := l.States()[0]
				if s.State != tt.want || s.State == check.Up && (s.Ignored < 8 || s.Failures > 0 || !strings.HasSuffix(s.Reason, "this process was late")) {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// What a pause has made fail is checked again at once, not in the next interval.
func TestCheckedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		var l *lab
		l = newLab(func(context.Context, Target) Outcome {
			if n.Add(1) == 1 {
				l.freeze(10 * time.Second)
				time.Sleep(50 * time.Millisecond)
				return outcome(check.Failed)
			}
			return outcome(check.Passed)
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "tcp interval 1h")})
		for n.Load() == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		want(t, "soon", l.during(time.Second), "1 up")
	})
}

// A shortage of this machine makes nobody down, and is spoken of when it lasts.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lacking atomic.Bool
		lacking.Store(true)
		l := newLab(func(context.Context, Target) Outcome {
			if lacking.Load() {
				return outcome(check.Local)
			}
			return outcome(check.Passed)
		}, 0)
		defer l.Close()
		l.Set([]Target{aTarget(t, 1, "tcp start up", "web"), aTarget(t, 2, "tcp start up")})
		want(t, "a shortage", l.during(55*time.Second), "")
		want(t, "logged at first", l.logs.String(), "")
		l.during(2 * time.Minute)
		if n := strings.Count(l.logs.String(), "can't be made"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, &l.logs)
		}
		if s := l.States()[0]; s.State != check.Up || s.Local < 50 || s.Failures+s.Ignored > 0 {
			t.Errorf("%+v", s)
		}
		lacking.Store(false)
		l.during(5 * time.Second)
		lacking.Store(true)
		before := l.logs.String()
		if l.during(50 * time.Second); l.logs.String() != before {
			t.Errorf("logged at once after a good time:\n%s", &l.logs)
		}
	})
}
