package relay

import (
	"fmt"
	"testing"
	"time"

	"pen/internal/dispatch"
)

// steps says for every state and every event of both sides what follows. Unlike the
// table of the package it has both sides in full.
var steps = []struct {
	in   State
	side Side
	e    Event
	want step
}{
	{Open, Client, EOF, step{ClientEnded, EndServer}},
	{Open, Client, FinalEOF, step{DrainServer, EndServer | Drain}},
	{Open, Client, Broken, step{ResetAfterServer, Drain}},
	{Open, Client, Unwritable, step{ClientUnwritable, 0}},
	{Open, Client, Complete, step{DrainClient, EndClient | Drain}},
	{Open, Client, Drained, impossible},
	{Open, Client, Killed, step{Over, Reset}},
	{Open, Server, EOF, step{ServerEnded, EndClient}},
	{Open, Server, FinalEOF, step{DrainClient, EndClient | Drain}},
	{Open, Server, Broken, step{ResetAfterClient, Drain}},
	{Open, Server, Unwritable, step{ServerUnwritable, 0}},
	{Open, Server, Complete, step{DrainServer, EndServer | Drain}},
	{Open, Server, Drained, impossible},
	{Open, Server, Killed, step{Over, Reset}},
	{ClientEnded, Client, EOF, impossible},
	{ClientEnded, Client, FinalEOF, impossible},
	{ClientEnded, Client, Broken, step{ResetAfterServer, Drain}},
	{ClientEnded, Client, Unwritable, step{ResetAfterServer, Drain}},
	{ClientEnded, Client, Complete, step{DrainClient, EndClient | Drain}},
	{ClientEnded, Client, Drained, impossible},
	{ClientEnded, Client, Killed, step{Over, Reset}},
	{ClientEnded, Server, EOF, step{Over, EndClient | Close}},
	{ClientEnded, Server, FinalEOF, step{DrainClient, EndClient | Drain}},
	{ClientEnded, Server, Broken, step{ResetAfterClient, Drain}},
	{ClientEnded, Server, Unwritable, impossible},
	{ClientEnded, Server, Complete, impossible},
	{ClientEnded, Server, Drained, impossible},
	{ClientEnded, Server, Killed, step{Over, Reset}},
	{ServerEnded, Client, EOF, step{Over, EndServer | Close}},
	{ServerEnded, Client, FinalEOF, step{DrainServer, EndServer | Drain}},
	{ServerEnded, Client, Broken, step{ResetAfterServer, Drain}},
	{ServerEnded, Client, Unwritable, impossible},
	{ServerEnded, Client, Complete, impossible},
	{ServerEnded, Client, Drained, impossible},
	{ServerEnded, Client, Killed, step{Over, Reset}},
	{ServerEnded, Server, EOF, impossible},
	{ServerEnded, Server, FinalEOF, impossible},
	{ServerEnded, Server, Broken, step{ResetAfterClient, Drain}},
	{ServerEnded, Server, Unwritable, step{ResetAfterClient, Drain}},
	{ServerEnded, Server, Complete, step{DrainServer, EndServer | Drain}},
	{ServerEnded, Server, Drained, impossible},
	{ServerEnded, Server, Killed, step{Over, Reset}},
	{ClientUnwritable, Client, EOF, step{DrainServer, EndServer | Drain}},
	{ClientUnwritable, Client, FinalEOF, step{DrainServer, EndServer | Drain}},
	{ClientUnwritable, Client, Broken, step{ResetAfterServer, Drain}},
	{ClientUnwritable, Client, Unwritable, impossible},
	{ClientUnwritable, Client, Complete, impossible},
	{ClientUnwritable, Client, Drained, impossible},
	{ClientUnwritable, Client, Killed, step{Over, Reset}},
	{ClientUnwritable, Server, EOF, impossible},
	{ClientUnwritable, Server, FinalEOF, impossible},
	{ClientUnwritable, Server, Broken, impossible},
	{ClientUnwritable, Server, Unwritable, step{ResetAfterClient, Drain}},
	{ClientUnwritable, Server, Complete, step{DrainServer, EndServer | Drain}},
	{ClientUnwritable, Server, Drained, impossible},
	{ClientUnwritable, Server, Killed, step{Over, Reset}},
	{ServerUnwritable, Client, EOF, impossible},
	{ServerUnwritable, Client, FinalEOF, impossible},
	{ServerUnwritable, Client, Broken, impossible},
	{ServerUnwritable, Client, Unwritable, step{ResetAfterServer, Drain}},
	{ServerUnwritable, Client, Complete, step{DrainClient, EndClient | Drain}},
	{ServerUnwritable, Client, Drained, impossible},
	{ServerUnwritable, Client, Killed, step{Over, Reset}},
	{ServerUnwritable, Server, EOF, step{DrainClient, EndClient | Drain}},
	{ServerUnwritable, Server, FinalEOF, step{DrainClient, EndClient | Drain}},
	{ServerUnwritable, Server, Broken, step{ResetAfterClient, Drain}},
	{ServerUnwritable, Server, Unwritable, impossible},
	{ServerUnwritable, Server, Complete, impossible},
	{ServerUnwritable, Server, Drained, impossible},
	{ServerUnwritable, Server, Killed, step{Over, Reset}},
	{DrainClient, Client, EOF, ignored},
	{DrainClient, Client, FinalEOF, ignored},
	{DrainClient, Client, Broken, ignored},
	{DrainClient, Client, Unwritable, ignored},
	{DrainClient, Client, Complete, ignored},
	{DrainClient, Client, Drained, step{Over, Close}},
	{DrainClient, Client, Killed, step{Over, Reset}},
	{DrainClient, Server, EOF, ignored},
	{DrainClient, Server, FinalEOF, ignored},
	{DrainClient, Server, Broken, ignored},
	{DrainClient, Server, Unwritable, ignored},
	{DrainClient, Server, Complete, ignored},
	{DrainClient, Server, Drained, impossible},
	{DrainClient, Server, Killed, step{Over, Reset}},
	{DrainServer, Client, EOF, ignored},
	{DrainServer, Client, FinalEOF, ignored},
	{DrainServer, Client, Broken, ignored},
	{DrainServer, Client, Unwritable, ignored},
	{DrainServer, Client, Complete, ignored},
	{DrainServer, Client, Drained, impossible},
	{DrainServer, Client, Killed, step{Over, Reset}},
	{DrainServer, Server, EOF, ignored},
	{DrainServer, Server, FinalEOF, ignored},
	{DrainServer, Server, Broken, ignored},
	{DrainServer, Server, Unwritable, ignored},
	{DrainServer, Server, Complete, ignored},
	{DrainServer, Server, Drained, step{Over, Close}},
	{DrainServer, Server, Killed, step{Over, Reset}},
	{ResetAfterClient, Client, EOF, ignored},
	{ResetAfterClient, Client, FinalEOF, ignored},
	{ResetAfterClient, Client, Broken, ignored},
	{ResetAfterClient, Client, Unwritable, ignored},
	{ResetAfterClient, Client, Complete, ignored},
	{ResetAfterClient, Client, Drained, step{Over, Reset}},
	{ResetAfterClient, Client, Killed, step{Over, Reset}},
	{ResetAfterClient, Server, EOF, ignored},
	{ResetAfterClient, Server, FinalEOF, ignored},
	{ResetAfterClient, Server, Broken, ignored},
	{ResetAfterClient, Server, Unwritable, ignored},
	{ResetAfterClient, Server, Complete, ignored},
	{ResetAfterClient, Server, Drained, impossible},
	{ResetAfterClient, Server, Killed, step{Over, Reset}},
	{ResetAfterServer, Client, EOF, ignored},
	{ResetAfterServer, Client, FinalEOF, ignored},
	{ResetAfterServer, Client, Broken, ignored},
	{ResetAfterServer, Client, Unwritable, ignored},
	{ResetAfterServer, Client, Complete, ignored},
	{ResetAfterServer, Client, Drained, impossible},
	{ResetAfterServer, Client, Killed, step{Over, Reset}},
	{ResetAfterServer, Server, EOF, ignored},
	{ResetAfterServer, Server, FinalEOF, ignored},
	{ResetAfterServer, Server, Broken, ignored},
	{ResetAfterServer, Server, Unwritable, ignored},
	{ResetAfterServer, Server, Complete, ignored},
	{ResetAfterServer, Server, Drained, step{Over, Reset}},
	{ResetAfterServer, Server, Killed, step{Over, Reset}},
	{Over, Client, EOF, ignored},
	{Over, Client, FinalEOF, ignored},
	{Over, Client, Broken, ignored},
	{Over, Client, Unwritable, ignored},
	{Over, Client, Complete, ignored},
	{Over, Client, Drained, ignored},
	{Over, Client, Killed, step{Over, Reset}},
	{Over, Server, EOF, ignored},
	{Over, Server, FinalEOF, ignored},
	{Over, Server, Broken, ignored},
	{Over, Server, Unwritable, ignored},
	{Over, Server, Complete, ignored},
	{Over, Server, Drained, ignored},
	{Over, Server, Killed, step{Over, Reset}},
}

func TestSteps(t *testing.T) {
	seen := map[string]bool{}
	for _, tt := range steps {
		name := fmt.Sprintf("state %d, side %d, event %d", tt.in, tt.side, tt.e)
		if seen[name] {
			t.Errorf("%s: twice in the table of the test", name)
		}
		seen[name] = true
		if got := tt.in.on(tt.side, tt.e); got != tt.want {
			t.Errorf("%s: %+v, want %+v", name, got, tt.want)
		}
	}
	if want := states * 2 * events; len(seen) != want {
		t.Errorf("%d of %d combinations are tested", len(seen), want)
	}
}

// From every state that can be reached a connection can end, and whatever happens it
// does after a few events.
func TestEveryConnectionEnds(t *testing.T) {
	var walk func(s State, depth int)
	seen := map[State]bool{}
	walk = func(s State, depth int) {
		seen[s] = true
		if s == Over {
			return
		}
		if depth > 3 {
			t.Fatalf("state %d after %d events", s, depth)
		}
		for side := range Side(2) {
			for e := range Event(events) {
				to := s.on(side, e)
				switch {
				case to.do&(late|never) != 0:
					continue
				case to.next == s:
					t.Errorf("state %d, side %d, event %d: the state stays", s, side, e)
				case (to.do&(Close|Reset) != 0) != (to.next == Over):
					t.Errorf("state %d, side %d, event %d: %+v", s, side, e, to)
				}
				if _, drains := to.next.Draining(); drains != (to.do&Drain != 0) {
					t.Errorf("state %d, side %d, event %d: %+v", s, side, e, to)
				}
				walk(to.next, depth+1)
			}
		}
	}
	walk(Open, 0)
	if len(seen) != states {
		t.Errorf("%d of %d states can be reached", len(seen), states)
	}
}

// A side can end, break or be refused only while something is read from it or written
// to it.
func TestEventsOfWhatIsCarried(t *testing.T) {
	for s := range State(states) {
		for side := range Side(2) {
			can := func(e Event) bool { return s.on(side, e).do&(late|never) == 0 }
			if reads := s.Reads(side); can(EOF) != reads || can(FinalEOF) != reads {
				t.Errorf("state %d reads from side %d: %v, an end is possible: %v", s, side, reads, can(EOF))
			}
			if writes := s.Reads(side.Other()); can(Unwritable) != writes {
				t.Errorf("state %d writes to side %d: %v, a failure is possible: %v", s, side, writes, can(Unwritable))
			}
			if s.Reads(side) && !can(Broken) {
				t.Errorf("state %d reads from side %d, which can't break", s, side)
			}
		}
	}
}

func TestEnding(t *testing.T) {
	type happens struct {
		side Side
		e    Event
		why  dispatch.Ending
	}
	for name, tt := range map[string]struct {
		events []happens
		want   dispatch.Ending
	}{
		"the client ends first":                 {[]happens{{Client, EOF, dispatch.ByClient}, {Server, EOF, dispatch.ByServer}}, dispatch.ByClient},
		"the server ends first":                 {[]happens{{Server, EOF, dispatch.ByServer}, {Client, EOF, dispatch.ByClient}}, dispatch.ByServer},
		"a reset after the end":                 {[]happens{{Client, EOF, dispatch.ByClient}, {Server, Broken, dispatch.ByServerReset}}, dispatch.ByServerReset},
		"a write fails, and the side breaks":    {[]happens{{Server, Unwritable, dispatch.ByServerLoss}, {Server, Broken, dispatch.ByServerReset}}, dispatch.ByServerLoss},
		"a write fails, and the side ends":      {[]happens{{Server, Unwritable, dispatch.ByServerReset}, {Server, EOF, dispatch.ByServer}}, dispatch.ByServer},
		"writes to both fail":                   {[]happens{{Server, Unwritable, dispatch.ByServerReset}, {Client, Unwritable, dispatch.ByClientReset}}, dispatch.ByClientReset},
		"what comes late does not count":        {[]happens{{Client, Broken, dispatch.ByClientReset}, {Server, Broken, dispatch.ByServerReset}}, dispatch.ByClientReset},
		"a kill while the last bytes drain":     {[]happens{{Client, FinalEOF, dispatch.ByClient}, {Client, Killed, dispatch.ByStop}}, dispatch.ByStop},
		"all is said":                           {[]happens{{Client, Complete, dispatch.ByCompletion}, {Client, Drained, dispatch.NotEnded}}, dispatch.ByCompletion},
		"it is killed first and then it breaks": {[]happens{{Client, Killed, dispatch.ByKill}, {Client, Broken, dispatch.ByClientReset}}, dispatch.ByKill},
	} {
		var m Machine
		for _, h := range tt.events {
			m.On(h.side, h.e, h.why)
		}
		if got := m.Ending(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestEnded(t *testing.T) {
	var m Machine
	if m.Ended(Client) || !m.Doubtful(Server) {
		t.Error("a new connection has ended")
	}
	m.On(Client, EOF, dispatch.ByClient)
	if !m.Ended(Client) || m.Ended(Server) || m.Doubtful(Server) || !m.Doubtful(Client) {
		t.Error("the client has ended, the server has not")
	}
	m.On(Server, EOF, dispatch.ByServer)
	if !m.Ended(Client) || !m.Ended(Server) || m.State() != Over {
		t.Errorf("after both ends the state is %d", m.State())
	}
}

func TestDrain(t *testing.T) {
	const second = time.Second
	wait := func(p Patience, unsent func(passed time.Duration) int) (all time.Duration) {
		var w Wait
		for {
			pause, over := w.Look(unsent(all), p)
			if over {
				return all
			}
			if pause <= 0 || pause > maxPause {
				t.Fatalf("pause of %v", pause)
			}
			all += pause
		}
	}
	for name, tt := range map[string]struct {
		unsent   func(passed time.Duration) int
		min, max time.Duration
	}{
		"all is there":      {func(time.Duration) int { return 0 }, 0, 0},
		"some time passes":  {func(p time.Duration) int { return max(0, 1000-int(p.Milliseconds())) }, second, second + maxPause},
		"nothing moves":     {func(time.Duration) int { return 7 }, 2 * second, 2*second + 2*maxPause},
		"it stops moving":   {func(p time.Duration) int { return 10000 - min(int(p.Milliseconds()), 1000) }, 3 * second, 3*second + 3*maxPause},
		"it takes for ever": {func(p time.Duration) int { return 1<<20 - int(p.Milliseconds()) }, 10 * second, 10*second + maxPause},
	} {
		got := wait(Patience{Still: 2 * second, InAll: 10 * second}, tt.unsent)
		if got < tt.min || got > tt.max {
			t.Errorf("%s: %v, want %v to %v", name, got, tt.min, tt.max)
		}
	}
}
