package hostnames

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pen/internal/testenv"
)

func TestDNS(t *testing.T) {
	testenv.CheckLeaks(t)
	server := testenv.DNS(t, func(addr netip.Addr) ([]string, bool) {
		switch addr.String() {
		case "192.0.2.1":
			return []string{"one.example."}, true
		case "2001:db8::1":
			return []string{"six.example."}, true
		case "192.0.2.2":
			return []string{"b.example.", "a\n.example.", "a.example.", "10.0.0.1."}, true
		case "192.0.2.3":
			return []string{"bad\"name.example."}, true
		case "192.0.2.4":
			return nil, false
		}
		return nil, true
	})
	lookup, err := DNS(server.Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"192.0.2.1": "one.example", "2001:db8::1": "six.example", "192.0.2.2": "a.example", "192.0.2.3": "", "192.0.2.9": "",
	} {
		if got, err := lookup(t.Context(), netip.MustParseAddr(addr)); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", addr, got, err, want)
		}
	}
	// One that does not answer.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := lookup(ctx, netip.MustParseAddr("192.0.2.4")); err == nil {
		t.Errorf("no answer: %q", got)
	}
	// Nobody listens: that is no answer either.
	nobody, err := DNS(testenv.Refused(t).String())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := nobody(t.Context(), netip.MustParseAddr("192.0.2.1")); err == nil {
		t.Errorf("nobody listens: %q", got)
	}
}

func TestServerAddr(t *testing.T) {
	for server, want := range map[string]string{
		"192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "::1": "[::1]:53", "[::1]": "[::1]:53", "[::1]:5353": "[::1]:5353",
	} {
		if got, err := serverAddr(server); err != nil || got.String() != want {
			t.Errorf("%s: %v, %v", server, got, err)
		}
	}
	for _, server := range []string{"dns.example", "192.0.2.53:x", "192.0.2.53:99999", ":53", "[", " "} {
		if _, err := DNS(server); err == nil || !strings.Contains(err.Error(), "want its address") {
			t.Errorf("%q: %v", server, err)
		}
	}
}
