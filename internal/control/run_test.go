package control

import (
	"testing"

	"pen/internal/config"
	"pen/internal/engine"
)

// Every action and every question has one entry in the tables, or its value is
// shown as that of a setting is.
func TestEveryCommandHasOneEntry(t *testing.T) {
	verbs := map[string]bool{}
	for _, v := range config.Verbs() {
		verbs[v.Name] = true
		_, all := commands[v.Name]
		_, own := serviceCommands[v.Name]
		shown := v.Kind == config.Question && config.Command{Verb: &v, Service: config.DefaultService}.Reply(config.Default()) != ""
		if all && own || v.Kind != config.Setting && !all && !own && !shown {
			t.Errorf("%s: of all of Pen %v, of a service %v, shown %v", v.Name, all, own, shown)
		}
	}
	for name := range commands {
		if !verbs[name] {
			t.Errorf("there is no command %s", name)
		}
	}
	for name := range serviceCommands {
		if !verbs[name] {
			t.Errorf("there is no command %s", name)
		}
	}
}

func TestPlanText(t *testing.T) {
	some := config.Changes{{Added: []string{"x"}}}
	for _, tt := range []struct {
		plan engine.Plan
		want string
	}{
		{engine.Plan{}, "nothing changes\n"},
		{engine.Plan{RolledBack: true}, "nothing changes\n"},
		{engine.Plan{Changes: some, RolledBack: true}, "nothing changes: this was rolled back, and applies once the file is changed:\nall of Pen:\n  + x\n"},
		{
			engine.Plan{Changes: some, StartOnly: true, Moved: []engine.Moved{{Service: "default", Clients: 1, All: 2}, {Service: "web", Clients: 3, All: 4}}},
			"all of Pen:\n  + x\nsome of the file takes effect at the next start only\nfirst service: 1 of 2 remembered clients lose their server\nservice web: 3 of 4 remembered clients lose their server\n",
		},
	} {
		if got := planText(tt.plan); got != tt.want {
			t.Errorf("%+v: %q", tt.plan, got)
		}
	}
}
