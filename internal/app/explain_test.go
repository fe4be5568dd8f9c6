package app

import (
	"strings"
	"testing"
)

// Each server that does not take the client is named with its reason, also where
// none was tried.
func TestExplainNamesAllThatWerePassedOver(t *testing.T) {
	one := named(t, "one")
	a := start(t, "--exit", "127.0.0.1:0", one, one, one)
	explain := func() string {
		t.Helper()
		text, err := ask(t, a, "explain 192.0.2.7")
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	run(t, a, "server 0 name web0", "server 0 max 1", "drain 1", "disable 2")
	if got := explain(); !strings.Contains(got, "server 1 ("+one+"): draining\n") || !strings.Contains(got, "server 2 ("+one+"): disabled\n") || !strings.HasSuffix(got, "goes to server 0 web0 ("+one+")\n") {
		t.Errorf("one takes it:\n%s", got)
	}
	run(t, a, "server 0 blacklist 60")
	run(t, a, "drain 0")
	got := explain()
	for _, want := range []string{"server 0 web0 (" + one + "): draining\n", "server 1 (" + one + "): draining\n", "server 2 (" + one + "): disabled\n", "refused: no server takes it\n"} {
		if strings.Count(got, want) != 1 {
			t.Errorf("none takes it:\n%s\nwant once %s", got, want)
		}
	}
}
