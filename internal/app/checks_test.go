package app

import (
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"pen/internal/check"
	"pen/internal/config"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// stateOf is the state of a server of the first service.
func stateOf(a *App, slot int) pool.State {
	return a.cfg.Load().services[config.DefaultService].d.Servers()[slot].State
}

// What an agent says when it is asked holds until it says something else, and
// no longer than it is asked.
func TestAgentIsAsked(t *testing.T) {
	var says atomic.Value
	says.Store("up 100%")
	agent := testenv.Serve(t, func(c testenv.Conn) { fmt.Fprintf(c, "%s\n", says.Load()) })
	a := start(t, "-O", fmt.Sprintf("agent port %d interval 50ms", agent.Port()), "127.0.0.1:0", named(t, "first"), named(t, "second"))
	for _, tt := range []struct {
		line string
		want pool.State
	}{{"drain", pool.StateDraining}, {"ready", pool.StateUp}, {"maint", pool.StateDisabled}, {"ready down#disk", pool.StateAgentDown}, {"up", pool.StateUp}, {"down", pool.StateAgentDown}} {
		says.Store(tt.line)
		testenv.Eventually(t, tt.line, func() bool { return stateOf(a, 0) == tt.want && stateOf(a, 1) == tt.want })
	}
	run(t, a, "no agent")
	testenv.Eventually(t, "the end of it", func() bool { return stateOf(a, 0) == pool.StateUp })
}

// A server that reports by itself is down when it does not, and strangers are
// not listened to.
func TestAgentReports(t *testing.T) {
	testenv.CheckLeaks(t)
	a := start(t, "--agent-listen", "127.0.0.1:0", "-O", "agent push 300ms", "127.0.0.1:0", named(t, "first"))
	testenv.Eventually(t, "a missed report", func() bool { return stateOf(a, 0) == pool.StateAgentDown })
	run(t, a, "timeout 7", "service late", "service late server 0 address 127.0.0.1 port 9", "service late agent push 300ms")
	for name, s := range a.cfg.Load().services {
		if got := s.d.Servers()[0].State; got != pool.StateAgentDown {
			t.Errorf("service %q: after a change a silent server is %s", name, got)
		}
	}
	run(t, a, "no service late")
	c := connect(t, a.agents.Addr().String())
	testenv.Eventually(t, "a report", func() bool {
		io.WriteString(c, "up drain\n") // as often as it takes, since the next one may be missed
		return stateOf(a, 0) == pool.StateDraining
	})
	c.Close()
	testenv.Eventually(t, "another missed report", func() bool { return a.checks.receiver.States()[0].State == check.Down })
	run(t, a, "timeout 8", "server 0 state enabled")
	if r := a.checks.receiver.States()[0].Report; r == nil {
		t.Fatal("the last report is forgotten")
	}
	if !a.checks.agents[place{a.services[config.DefaultService].d, 0}].Down {
		t.Error("a change brings a server back that says nothing")
	}
	run(t, a, "no agent")
	testenv.Eventually(t, "the end of it", func() bool { return stateOf(a, 0) == pool.StateUp })
}

// An agent's opinion is of a server, not of its slot.
func TestAgentOfAnotherServer(t *testing.T) {
	agent := testenv.Serve(t, func(c testenv.Conn) { io.WriteString(c, "drain 50%\n") })
	a := start(t, "-O", fmt.Sprintf("agent port %d interval 50ms", agent.Port()), "127.0.0.1:0", named(t, "first"))
	testenv.Eventually(t, "drain", func() bool { return stateOf(a, 0) == pool.StateDraining })
	run(t, a, "agent port 1 interval 10m", "server 0 address 127.0.0.9")
	if got := stateOf(a, 0); got != pool.StateUp {
		t.Errorf("another server in the slot is %s", got)
	}
}

// One check serves all services that want the same of the same server.
func TestServicesShareChecks(t *testing.T) {
	var asked atomic.Int32
	server := testenv.Serve(t, func(c testenv.Conn) {
		asked.Add(1)
		io.WriteString(c, "hello\n")
	})
	const wanted = "check expect hello interval 10m fall 1"
	a := start(t, "-O", wanted, "-O", "service web", "-O", "service web server 0 address 127.0.0.1 port "+portOf(server.String()), "-O", "service web "+wanted,
		"127.0.0.1:0", server.String())
	if n := len(a.checks.monitor.States()); n != 1 {
		t.Errorf("%d checks of one server", n)
	}
	run(t, a, "service web no check", "no check")
	if n := len(a.checks.monitor.States()); n != 0 {
		t.Errorf("%d checks, and none is wanted", n)
	}
}
