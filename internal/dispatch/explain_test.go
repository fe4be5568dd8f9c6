package dispatch

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pen/internal/acl"
	"pen/internal/pool"
)

// explanations is how many random states are compared.
const explanations = 100_000

// What Explain says is what happens next, in random states of everything.
func TestExplainAgreesWithReality(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	seen := map[string]int{}
	for n := 0; n < explanations; {
		w := newWorld(r)
		for range 20 {
			w.step(r)
			w.compare(t, r, seen)
			n++
		}
		if t.Failed() {
			return
		}
	}
	for _, what := range []string{"goes", "refused", "queued", "held", "denied", "over a limit", "full", "remembered", "emergency", "abuse", "last resort"} {
		if seen[what] == 0 {
			t.Errorf("no state in which a client is %s", what)
		}
	}
}

// A world is a Dispatcher with whatever has happened to it.
type world struct {
	c     clock
	d     *Dispatcher
	flows []*Flow
}

func newWorld(r *rand.Rand) *world {
	w := new(world)
	cfg := config(1 + r.IntN(6))
	cfg.ACLs = &acl.Lists{}
	for i := range cfg.Pool.Servers {
		s := &cfg.Pool.Servers[i]
		s.Weight, s.Max, s.Hard, s.Prio = r.IntN(4), r.IntN(3), r.IntN(4), r.IntN(3)
		s.Admin = pool.Admin(max(0, r.IntN(8)-5))
		s.ACL = r.IntN(2)
	}
	cfg.ACLs.List[1] = []acl.Entry{{Addr: from(3).Addr(), Mask: 0xffffffff}} // denies a client
	cfg.ACLs.List[2] = []acl.Entry{{Addr: from(4).Addr(), Mask: 0xffffffff}}
	cfg.ClientACL = 2 * r.IntN(2)
	some := func(n int) int { return max(0, r.IntN(n)-n/2) }
	if r.IntN(3) == 0 {
		cfg.Pool.Emergency = []pool.Config{server("192.0.2.9:9")}
	}
	if r.IntN(3) == 0 {
		cfg.Pool.Abuse = server("192.0.2.8:9")
	}
	cfg.Pool.Algorithm = pool.Algorithm(r.IntN(pool.Algorithms))
	if cfg.Pool.Algorithm == pool.Maglev && r.IntN(10) > 0 {
		cfg.Pool.Algorithm = pool.StaticHash // a table takes a while to make
	}
	cfg.Pool.Bound = []float64{0, 1.25}[r.IntN(2)]
	cfg.Pool.Panic = some(100)
	cfg.Pool.Outlier = pool.Outlier{Failures: some(6), Share: some(100)}
	cfg.Pool.SlowStart = time.Duration(some(20)) * time.Second
	cfg.NoTracking, cfg.Stubborn = r.IntN(4) == 0, r.IntN(6) == 0
	cfg.ConnMax = 1 + r.IntN(30)
	cfg.Tracking = time.Duration(some(200)) * time.Second
	cfg.Limits = Limits{ClientConns: some(6), ClientRate: float64(some(4)), Conns: some(30), Rate: float64(some(10)), ServerRate: float64(some(6)), Delay: time.Duration(some(2000)) * time.Millisecond}
	cfg.Queue, cfg.QueueTime = some(6), 5*time.Second
	cfg.Prefix4 = 32 - some(4)
	w.d = New(cfg, w.c.now)
	return w
}

func (w *world) client(r *rand.Rand) netip.AddrPort { return from(r.IntN(12)) }

// step has one thing happen.
func (w *world) step(r *rand.Rand) {
	slot := r.IntN(6)
	switch r.IntN(9) {
	case 0:
		w.c.t += time.Duration(r.IntN(20000)) * time.Millisecond
	case 1:
		w.d.Blacklist(slot, time.Duration(r.IntN(20))*time.Second)
	case 2:
		w.d.SetHealth(slot, pool.Health(r.IntN(3)))
	case 3:
		w.d.SetAgent(slot, pool.Agent{Weight: r.IntN(200) - 1, Admin: pool.Admin(max(0, r.IntN(8)-5)), Down: r.IntN(6) == 0})
	case 4:
		w.d.Sweep()
		w.d.Tick()
	case 5:
		if len(w.flows) > 0 {
			i := r.IntN(len(w.flows))
			w.flows[i].Done(ByClient)
			w.flows = append(w.flows[:i:i], w.flows[i+1:]...)
		}
	default:
		w.connect(w.client(r), r.IntN(4) == 0)
	}
}

// connect has a client connect; fails is whether its first server refuses it.
func (w *world) connect(who netip.AddrPort, fails bool) {
	f, err := w.d.Admit(who, &carrier{})
	if err != nil {
		return
	}
	for {
		_, ok := f.Next()
		switch {
		case !ok && !f.Wait(func() {}):
			f.Done(ByClient)
			return
		case ok && !fails:
			f.Up()
			fallthrough
		case !ok:
			w.flows = append(w.flows, f)
			return
		}
		fails = false
		f.Failed(errRefused)
	}
}

// namesAll fails the test where a client is refused by servers, and not each one
// of them is named with a reason.
func (w *world) namesAll(t *testing.T, e Explanation) {
	t.Helper()
	if e.Denied || e.Over || w.d.cfg.Stubborn {
		return
	}
	all := slices.Concat(e.Steps, e.Passed)
	for slot := range w.d.cfg.Pool.Servers {
		i := slices.IndexFunc(all, func(s Step) bool { return s.Slot == slot })
		if i < 0 || all[i].Verdict == pool.Admitted {
			t.Errorf("server %d is not named with a reason in %+v", slot, e)
		}
	}
}

// compare asks where a client would go, and then has it connect.
func (w *world) compare(t *testing.T, r *rand.Rand, seen map[string]int) {
	t.Helper()
	who := w.client(r)
	e := w.d.Explain(who)
	f, err := w.d.Admit(who, &carrier{})
	if err != nil {
		if !(err == ErrFull && e.Full || err == ErrDenied && e.Denied && !e.Goes || err == ErrLimited && e.Over && e.Hold == 0 && !e.Goes && !e.Full) {
			t.Errorf("%v: %v, explained as %+v", who, err, e)
		}
		seen[map[error]string{ErrFull: "full", ErrDenied: "denied", ErrLimited: "over a limit"}[err]]++
		return
	}
	defer f.Done(ByClient)
	target, ok := f.Next()
	switch {
	case !ok && f.phase == delayed:
		if e.Hold != f.wait.until-w.c.t {
			t.Errorf("%v is delayed for %v, explained as %+v", who, f.wait.until-w.c.t, e)
		}
		seen["held"]++
		return
	case !ok && f.phase == queued:
		if !e.Queue {
			t.Errorf("%v waits, explained as %+v", who, e)
		}
		seen["queued"]++
		return
	case !ok:
		if e.Goes || e.Queue || e.Full || e.Hold > 0 {
			t.Errorf("%v is refused, explained as %+v", who, e)
		}
		w.namesAll(t, e)
		seen["refused"]++
		return
	}
	if !e.Goes || e.Queue || e.Hold > 0 || e.Steps[len(e.Steps)-1].Slot != target.Slot || !slices.Contains([]pool.Verdict{pool.Admitted, LastResort}, e.Steps[len(e.Steps)-1].Verdict) {
		t.Errorf("%v goes to %d, explained as %+v", who, target.Slot, e)
	}
	seen["goes"]++
	if e.Steps[len(e.Steps)-1].Verdict == LastResort {
		seen["last resort"]++
	}
	switch {
	case target.Slot == pool.EmergencySlot:
		seen["emergency"]++
	case target.Slot == pool.AbuseSlot:
		seen["abuse"]++
	case target.Slot == e.Remembered:
		seen["remembered"]++
	}
}
