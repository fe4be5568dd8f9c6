package peers_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pen/internal/check"
	"pen/internal/health"
	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// Checks of real servers pass, or fail with a reason in the server's own words.
func TestChecksOfRealServers(t *testing.T) {
	web := lab.Nginx(t)
	redis := testenv.Unused(t)
	_, port, _ := strings.Cut(redis, ":")
	lab.Start(t, redis, "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", t.TempDir())
	_, names := lab.DNS(t, "unbound", "one")
	for _, tt := range []struct {
		addr, check string
		verdict     check.Verdict
		reason      string
	}{
		{web, "http /", check.Passed, "status 200"},
		{web, "http /missing", check.Failed, "status 404"},
		{web, "http /big host www.example", check.Passed, "status 200"},
		{web, "https /", check.Failed, "tls: first record does not look like a TLS handshake"},
		{redis, `send PING\r\n expect +PONG`, check.Passed, `got "+PONG"`},
		{redis, `send NONSENSE\r\n expect +PONG timeout 300ms`, check.Failed, `expected "+PONG", got "-ERR unknown command 'NONSENSE'`},
		{names, "dns who.test", check.Passed, "answer NOERROR"},
		{names, "dns nobody.test", check.Failed, "answer NXDOMAIN"},
	} {
		spec, err := check.ParseSpec(strings.Fields(tt.check))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(tt.check, "timeout") {
			spec.Timeout = testenv.Limit
		}
		ctx, cancel := context.WithTimeout(t.Context(), testenv.Limit+time.Second)
		o := health.Probe(ctx, health.Target{Key: health.Key{Addr: netip.MustParseAddrPort(tt.addr), Spec: spec}})
		cancel()
		if o.Verdict != tt.verdict || !strings.HasPrefix(o.Reason, tt.reason) {
			t.Errorf("%s: verdict %d, %q, want %d, %q", tt.check, o.Verdict, o.Reason, tt.verdict, tt.reason)
		}
	}
}
