package planetest

import (
	"net/netip"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/dispatch"
	"pen/internal/pool"
	"pen/internal/testenv"
)

// recording has flows end in every way that is possible in a plane of connections, but
// by the loss of a side, which takes minutes: what the record says of each must be true.
var recording = func() (all []conformance) {
	for _, e := range endings {
		all = append(all, conformance{"the record of an ending by " + e.name, func(t *testing.T, build New) {
			ln := testenv.Listen(t, "tcp", testenv.Loopback)
			cfg := config(ln.AddrPort())
			if e.change != nil {
				e.change(t, &cfg)
			}
			r := &recorder{records: make(chan *dispatch.Record, 1)}
			cfg.Observer, cfg.Watch = r, dispatch.WatchRecords
			s := start(t, build, testenv.Loopback, cfg)
			p := pair{s: s, cfg: cfg, client: s.dial(t)}
			if !e.alone {
				p.server = ln.Next(t)
				s.flows(t, 1)
				testenv.Write(t, p.client, "said")
				testenv.WantBytes(t, p.server, "said")
			}
			e.end(t, p)
			got := r.next(t, s)
			if got.Ending != e.want || got.Ending == dispatch.Refused && got.Refusal != e.why {
				t.Errorf("ended by %v (%v), want %v (%v)", got.Ending, got.Refusal, e.want, e.why)
			}
			if got.Client.String() != p.client.LocalAddr().String() || got.Ended < got.Accepted {
				t.Errorf("record %+v of the client %v", got, p.client.LocalAddr())
			}
			if !e.alone && (got.FromClient < 4 || got.Connected == 0 || len(got.Steps) == 0) {
				t.Errorf("record %+v", got)
			}
		}})
	}
	return append(all, conformance{"a client without a flow is told as refused", toldRefused})
}()

// A pair is both ends of a flow.
type pair struct {
	s              *service
	cfg            dispatch.Config
	client, server testenv.Conn
}

// configure changes the policy, and sweeps.
func (p pair) configure(change func(*dispatch.Config)) {
	change(&p.cfg)
	p.s.d.Configure(p.cfg)
	p.s.d.Sweep()
}

func closeInOrder(t *testing.T, first, second testenv.Conn) {
	testenv.CloseWrite(t, first)
	testenv.WantEnd(t, second, 0)
	second.Close()
}

var endings = []struct {
	name   string
	change func(*testing.T, *dispatch.Config)
	alone  bool // the client gets no server
	end    func(*testing.T, pair)
	want   dispatch.Ending
	why    dispatch.Refusal
}{
	{name: "the client", end: func(t *testing.T, p pair) { closeInOrder(t, p.client, p.server) }, want: dispatch.ByClient},
	{name: "the server", end: func(t *testing.T, p pair) { closeInOrder(t, p.server, p.client) }, want: dispatch.ByServer},
	{name: "a reset of the client's", end: func(t *testing.T, p pair) { testenv.Reset(t, p.client) }, want: dispatch.ByClientReset},
	{name: "a reset of the server's", end: func(t *testing.T, p pair) { testenv.Reset(t, p.server) }, want: dispatch.ByServerReset},
	{name: "a reset of the server's after the client's end", end: func(t *testing.T, p pair) {
		testenv.CloseWrite(t, p.client)
		testenv.WantEnd(t, p.server, 0)
		testenv.Reset(t, p.server)
	}, want: dispatch.ByServerReset},
	{name: "a reset of the client's after the server's end", end: func(t *testing.T, p pair) {
		testenv.CloseWrite(t, p.server)
		testenv.WantEnd(t, p.client, 0)
		testenv.Reset(t, p.client)
	}, want: dispatch.ByClientReset},
	{
		name:   "the client, for both ways",
		change: func(_ *testing.T, cfg *dispatch.Config) { cfg.EndWithClient = true },
		end:    func(t *testing.T, p pair) { testenv.CloseWrite(t, p.client) },
		want:   dispatch.ByClient,
	},
	{
		name:   "a lack of servers",
		change: func(t *testing.T, cfg *dispatch.Config) { cfg.Pool.Servers[0] = server(testenv.Refused(t)) },
		alone:  true, end: func(*testing.T, pair) {}, want: dispatch.Refused, why: dispatch.NoServer,
	},
	{
		name:   "the dummy page",
		change: func(_ *testing.T, cfg *dispatch.Config) { cfg.Dummy = true },
		alone:  true, end: func(t *testing.T, p pair) { testenv.Write(t, p.client, "hello") }, want: dispatch.ByCompletion,
	},
	{
		name:   "a client that is gone before it says anything to the dummy page",
		change: func(_ *testing.T, cfg *dispatch.Config) { cfg.Dummy = true },
		alone:  true, end: func(t *testing.T, p pair) { testenv.CloseWrite(t, p.client) }, want: dispatch.ByClient,
	},
	{name: "idleness", end: func(t *testing.T, p pair) {
		p.configure(func(c *dispatch.Config) { c.IdleTimeout = time.Nanosecond })
	}, want: dispatch.ByIdleTimeout},
	{name: "age", end: func(t *testing.T, p pair) {
		p.configure(func(c *dispatch.Config) { c.MaxAge = time.Nanosecond })
	}, want: dispatch.ByMaxAge},
	{name: "a drain", end: func(t *testing.T, p pair) {
		p.configure(func(c *dispatch.Config) {
			c.Pool.Servers = []pool.Config{c.Pool.Servers[0]}
			c.Pool.Servers[0].Admin = pool.Draining
		})
		p.s.d.Drain(0, 0)
	}, want: dispatch.ByDrain},
	{name: "its server, which is found down", end: func(t *testing.T, p pair) {
		p.s.d.SetHealth(0, pool.HealthDown)
		p.configure(func(c *dispatch.Config) { c.CloseDown = true })
	}, want: dispatch.ByServerDown},
	{
		name: "rebalance",
		change: func(t *testing.T, cfg *dispatch.Config) {
			cfg.Pool.Emergency = cfg.Pool.Servers
			cfg.Pool.Servers = []pool.Config{server(testenv.Refused(t))}
			cfg.Pool.Servers[0].Admin = pool.Disabled
		},
		end: func(t *testing.T, p pair) {
			p.configure(func(c *dispatch.Config) {
				c.Pool.Servers = []pool.Config{server(c.Pool.Servers[0].Addr)}
				c.Rebalance = 1_000_000
			})
		},
		want: dispatch.ByRebalance,
	},
	{name: "the operator", end: func(t *testing.T, p pair) { p.s.d.Kill(p.s.flows(t, 1)[0].ID) }, want: dispatch.ByKill},
	{name: "the end of Pen", end: func(t *testing.T, p pair) { p.s.d.KillAll() }, want: dispatch.ByStop},
	{
		name: "a kill after an end in order",
		end: func(t *testing.T, p pair) {
			testenv.CloseWrite(t, p.client)
			testenv.WantEnd(t, p.server, 0)
			p.s.d.Kill(p.s.flows(t, 1)[0].ID)
		},
		want: dispatch.ByKill,
	},
}

// A recorder keeps records, and counts clients that were refused without a flow.
type recorder struct {
	dispatch.NoObserver
	records chan *dispatch.Record
	refused chan dispatch.Refusal
}

// Ended implements [dispatch.Observer].
func (r *recorder) Ended(rec *dispatch.Record) { r.records <- rec }

// Refused implements [dispatch.Observer].
func (r *recorder) Refused(_ netip.AddrPort, why dispatch.Refusal) { r.refused <- why }

// next waits for the next record, while the service's flows are swept.
func (r *recorder) next(t *testing.T, s *service) (rec *dispatch.Record) {
	t.Helper()
	testenv.Eventually(t, "the flow is recorded", func() bool {
		s.d.Sweep()
		select {
		case rec = <-r.records:
			return true
		default:
			return false
		}
	})
	return rec
}

func toldRefused(t *testing.T, build New) {
	cfg := config(testenv.Echo(t))
	cfg.ClientACL, cfg.ACLs = 1, &acl.Lists{}
	cfg.ACLs.List[1] = acl.List{{Addr: netip.MustParseAddr("127.0.0.1"), Mask: 1<<32 - 1}}
	r := &recorder{refused: make(chan dispatch.Refusal, 1)}
	cfg.Observer, cfg.Watch = r, dispatch.WatchRefusals
	s := start(t, build, testenv.Loopback, cfg)
	testenv.WantEnd(t, s.dial(t), 0)
	if why := <-r.refused; why != dispatch.Denied {
		t.Errorf("refused: %v", why)
	}
}
