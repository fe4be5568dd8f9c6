package datagram

import (
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// A recorder keeps records.
type recorder struct {
	dispatch.NoObserver
	records chan *dispatch.Record
}

// Ended implements [dispatch.Observer].
func (r recorder) Ended(rec *dispatch.Record) { r.records <- rec }

// Flows end in every way that is possible, but by the loss of a network, and their
// records say how.
func TestRecords(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*testing.T, *dispatch.Config)
		end    func(*testing.T, *service, *dispatch.Config)
		again  bool // it ends with the next datagram
		want   dispatch.Ending
		why    dispatch.Refusal
	}{
		{name: "idle", want: dispatch.ByIdleTimeout, end: func(_ *testing.T, _ *service, cfg *dispatch.Config) { cfg.IdleTimeout = time.Nanosecond }},
		{name: "age", want: dispatch.ByMaxAge, end: func(_ *testing.T, _ *service, cfg *dispatch.Config) { cfg.MaxAge = time.Nanosecond }},
		{name: "killed", want: dispatch.ByKill, end: func(_ *testing.T, s *service, _ *dispatch.Config) { s.Kill(s.Status().Flows[0].ID) }},
		{name: "stopped", want: dispatch.ByStop, end: func(_ *testing.T, s *service, _ *dispatch.Config) { s.KillAll() }},
		{name: "drained", want: dispatch.ByDrain, end: func(_ *testing.T, s *service, cfg *dispatch.Config) {
			cfg.Pool.Servers = []pool.Config{cfg.Pool.Servers[0]}
			cfg.Pool.Servers[0].Admin = pool.Draining
			s.Configure(*cfg)
			s.Drain(0, 0)
		}},
		{name: "down", want: dispatch.ByServerDown, end: func(_ *testing.T, s *service, cfg *dispatch.Config) {
			s.SetHealth(0, pool.HealthDown)
			cfg.CloseDown = true
		}},
		{name: "rules", again: true, want: dispatch.ByRules, end: func(_ *testing.T, _ *service, cfg *dispatch.Config) {
			cfg.ClientACL, cfg.ACLs = 1, &acl.Lists{}
			cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr("127.0.0.1"), Mask: 1<<32 - 1}}
		}},
		{
			name: "displaced", want: dispatch.ByDisplacement,
			change: func(_ *testing.T, cfg *dispatch.Config) { cfg.ConnMax = 1 },
			end:    func(t *testing.T, s *service, _ *dispatch.Config) { send(t, dial(t, "127.0.0.2", s.addr), "mine") },
		},
		{name: "complete", again: true, want: dispatch.ByCompletion, end: func(t *testing.T, s *service, _ *dispatch.Config) {
			s.configure(t, edge.Ends{Datagrams: &edge.Datagrams{}})
		}},
		{name: "dummy", want: dispatch.ByCompletion, change: func(_ *testing.T, cfg *dispatch.Config) { cfg.Dummy = true }},
		{name: "no server", want: dispatch.Refused, why: dispatch.NoServer, change: func(t *testing.T, cfg *dispatch.Config) {
			cfg.Pool.Servers[0].Admin = pool.Disabled
		}},
		{name: "refused", want: dispatch.Refused, why: dispatch.NoServer, change: func(t *testing.T, cfg *dispatch.Config) {
			cfg.Pool.Servers[0] = server(dead(t))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config(udp(t, "").addr())
			if tt.change != nil {
				tt.change(t, &cfg)
			}
			r := recorder{records: make(chan *dispatch.Record, 16)}
			cfg.Observer, cfg.Watch = r, dispatch.WatchRecords
			s := start(t, "127.0.0.1:0", cfg)
			c := dial(t, "127.0.0.1", s.addr)
			send(t, c, "one")
			if tt.end != nil {
				testenv.Eventually(t, "there is a flow", func() bool { return len(s.Status().Flows) > 0 })
				tt.end(t, s, &cfg)
				s.Configure(cfg)
			}
			var got *dispatch.Record
			testenv.Eventually(t, "the flow is recorded", func() bool {
				s.Sweep()
				if tt.again {
					send(t, c, "two")
				}
				select {
				case got = <-r.records:
				default:
				}
				return got != nil
			})
			if got.Ending != tt.want || got.Refusal != tt.why && tt.want == dispatch.Refused {
				t.Errorf("ended by %v (%v), want %v (%v)", got.Ending, got.Refusal, tt.want, tt.why)
			}
			if got.Client.Addr() != netip.MustParseAddr("127.0.0.1") {
				t.Errorf("record %+v", got)
			}
		})
	}
}
