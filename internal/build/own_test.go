package build

import (
	"net"
	"net/netip"
	"testing"

	"pen/internal/config"
	"pen/internal/names"
)

// Where names and addresses make a circle together, it is the name's that is
// refused: what DNS says can't make an error of what the operator has written.
func TestNamesCloseNoCircle(t *testing.T) {
	inv, errs := config.ParseArgs([]string{"-O", "listen 9000", "-O", "server 0 address app.test port 9001", "-O", "service b", "-O", "service b listen 9001", "-O", "service b server 0 address 127.0.0.1 port 9000"}, nil)
	if errs != nil {
		t.Fatal(errs)
	}
	cfg := inv.Config
	all := cfg.Services
	found := make([]servers, len(all))
	for i, s := range all {
		found[i].names = namesOf(s)
		answers := map[string]string{"app.test": "127.0.0.1"}
		if err := found[i].find(s, answersOf(t, found[i].names, answers)); err != nil {
			t.Fatal(err)
		}
	}
	if err := circlesOf(ownListenersOf(t.Context(), cfg, func(string, string) net.Addr { return nil }), cfg).refuse(all, found); err != nil {
		t.Error(err)
	}
	if len(found[0].missing) != 1 || len(found[1].missing) != 0 {
		t.Errorf("refused: %v and %v", found[0].missing, found[1].missing)
	}
}

func answersOf(t *testing.T, of serverNames, addrs map[string]string) map[names.Query]answer {
	t.Helper()
	out := map[names.Query]answer{}
	for _, n := range of {
		out[n.query] = answer{list: []names.Answer{{Addr: netip.MustParseAddr(addrs[n.query.Name])}}}
	}
	return out
}
