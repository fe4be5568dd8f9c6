package app

import (
	"errors"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/engine"
	"pen/internal/pool"
)

// Settings that are applied together are one change: all of them or none, with
// one entry in the history.
func TestApplyIsOneChange(t *testing.T) {
	one := named(t, "one")
	a := start(t, "127.0.0.1:0", one, one)
	n := a.built
	if err := a.Apply(command(t, "timeout 9"), command(t, "server 0 weight 7"), command(t, "server 1 name web1 blacklist 60")); err != nil {
		t.Fatal(err)
	}
	if a.built != n+1 || a.store.Changes() != 1 {
		t.Errorf("%d policies were built and %d changes can be taken back, want 1 and 1", a.built-n, a.store.Changes())
	}
	if got := stateOf(a, 1); got != pool.StateBlacklisted {
		t.Errorf("server 1 is %s", got)
	}
	before := config.Print(a.Config())
	if err := a.Apply(command(t, "timeout 8"), command(t, "server web7 weight 3")); !errors.Is(err, engine.Invalid) {
		t.Errorf("%v", err)
	}
	if got := config.Print(a.Config()); got != before {
		t.Errorf("half a change was made:\n%s", got)
	}
}

func TestEngineErrorsHaveKinds(t *testing.T) {
	a := start(t, "127.0.0.1:0", named(t, "one"))
	_, noService := a.Service("web")
	_, noChange := a.Rollback()
	for what, tt := range map[string]struct {
		err  error
		want engine.Kind
	}{
		"service":  {noService, engine.NotFound},
		"rollback": {noChange, engine.NotFound},
		"server":   {engine.Drain(a, config.DefaultService, 7, 0), engine.Invalid},
		"pidfile":  {a.Apply(command(t, "pidfile /x")), engine.StartOnly},
		"program":  {a.Apply(command(t, "check exec /bin/true interval 1")), engine.Forbidden},
		"exit":     {a.Exit(), engine.Forbidden},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v is not %q", what, tt.err, tt.want)
		}
	}
	a.Stop(0)
	if err := a.Apply(command(t, "timeout 9")); !errors.Is(err, engine.Stopping) {
		t.Errorf("after Stop: %v", err)
	}
}

func TestDrain(t *testing.T) {
	one := named(t, "one")
	a := start(t, "127.0.0.1:0", one, one)
	if err := engine.Drain(a, config.DefaultService, 1, 1500*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if got := stateOf(a, 1); got != pool.StateDraining {
		t.Errorf("server 1 is %s", got)
	}
}
