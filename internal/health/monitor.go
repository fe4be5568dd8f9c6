package health

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"pen/internal/check"
	"pen/internal/heap"
)

const defaultParallel = 128

// Options configure a Monitor.
type Options struct {
	Log *slog.Logger
	// OnChange is called with each change of a check's state, and OnReport with each
	// report of an agent that differs from its last one. Either may be nil. Neither is
	// called for a check that is dry_run. Calls for one key come one after the other,
	// calls for several keys from several goroutines. They must return soon, and must
	// not wait for Set or Close.
	OnChange func(Key, check.State)
	// OnPass is called with each check that passes while its state is up.
	OnPass   func(Key)
	OnReport func(Key, check.Report)
	Probe    Prober           // nil is the function Probe
	Now      func() time.Time // nil is time.Now
	Parallel int              // checks that run at once; 0 is 128
}

// A Monitor checks servers, each at its interval. One goroutine schedules all checks; each
// running check has one more. Its methods may be called from any goroutine.
type Monitor struct {
	opt        Options
	wake       chan struct{}
	goroutines sync.WaitGroup

	setting sync.Mutex // held by Set and Close; guards the next two
	cancel  context.CancelFunc
	closed  bool

	mu      sync.Mutex // guards all below
	targets map[Key]*target
	order   []*target          // as they were set
	waiting heap.Heap[*target] // the one that is due first on top
	running int                // checks
	pulse   pulse

	shortageLogged time.Time // the last time
}

// A target is a check and what is known of it. It is waiting or running.
type target struct {
	Target
	machine check.Machine
	status  Status    // without the fields above
	short   time.Time // since when this machine has lacked something that the check needs
	journal journal

	due    time.Time
	index  int // in Monitor.waiting, or -1
	began  time.Time
	lost   time.Duration // of the pulse when it began
	cancel context.CancelFunc
	ended  chan struct{} // closed when the running check has ended; nil if none runs
	gone   bool          // removed by Set
}

// A Status is what is known of a target.
type Status struct {
	Target
	State    check.State
	Since    time.Time     // of the state
	Checked  time.Time     // when the last check ended; zero before the first one
	Reason   string        // of its result
	Duration time.Duration // of the last check
	Report   *check.Report // the last one of an agent, or nil; must not be changed

	Checks      uint64
	Failures    uint64 // that counted
	Ignored     uint64 // failures that did not count, since this process was late
	Local       uint64 // checks that this machine lacked something for
	Transitions uint64 // changes of state
}

// New returns a Monitor without targets. It starts nothing.
func New(o Options) *Monitor {
	if o.Probe == nil {
		o.Probe = Probe
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Parallel == 0 {
		o.Parallel = defaultParallel
	}
	return &Monitor{
		opt: o, wake: make(chan struct{}, 1), targets: map[Key]*target{}, pulse: pulse{every: beat},
		waiting: heap.New(func(a, b *target) bool { return a.due.Before(b.due) }, func(t *target, i int) { t.index = i }),
	}
}

// Set replaces the targets. Those whose keys were set before keep their state and get the
// new subscribers. New ones are first checked at a random time in their first interval.
// The others are removed: Set cancels their checks and waits for them and for the functions
// of the Options, which are not called for them any more once Set has returned. Targets with
// equal keys become one. After Close it does nothing.
func (m *Monitor) Set(targets []Target) {
	m.setting.Lock()
	defer m.setting.Unlock()
	if m.closed {
		return
	}
	for _, ended := range m.replace(targets) {
		<-ended
	}
	if m.cancel == nil {
		ctx, cancel := context.WithCancel(context.Background())
		m.cancel = cancel
		m.goroutines.Go(func() { m.run(ctx) })
	}
	m.wakeUp()
}

// replace does the work of Set, and returns what Set must wait for.
func (m *Monitor) replace(targets []Target) (ending []chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.opt.Now()
	old := m.targets
	m.targets, m.order = make(map[Key]*target, len(targets)), nil
	for _, want := range targets {
		if t := m.targets[want.Key]; t != nil { // shared
			t.Subscribers = slices.Concat(t.Subscribers, want.Subscribers)
			continue
		}
		t := old[want.Key]
		if t == nil {
			t = &target{machine: check.NewMachine(want.Spec), status: Status{Since: now}}
			t.due = now.Add(rand.N(want.Spec.Interval))
			t.Key = want.Key
			m.waiting.Push(t)
		}
		t.Subscribers, t.Others = want.Subscribers, want.Others
		delete(old, want.Key)
		m.targets[want.Key] = t
		m.order = append(m.order, t)
	}
	for _, t := range old {
		t.gone = true
		if t.ended == nil {
			m.waiting.Remove(t.index)
			continue
		}
		t.cancel()
		ending = append(ending, t.ended)
	}
	return ending
}

// Close cancels all checks and waits for them.
func (m *Monitor) Close() {
	m.setting.Lock()
	defer m.setting.Unlock()
	m.closed = true
	if m.cancel != nil {
		m.cancel()
	}
	m.goroutines.Wait()
}

// States returns what is known of the targets, in the order of Set.
func (m *Monitor) States() []Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Status, 0, len(m.order))
	for _, t := range m.order {
		all = append(all, t.known())
	}
	return all
}

// Status returns what is known of one target; ok is false if there is none.
func (m *Monitor) Status(k Key) (s Status, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.targets[k]
	if t == nil {
		return Status{}, false
	}
	return t.known(), true
}

// known is called with the Monitor's mu held.
func (t *target) known() Status {
	s := t.status
	s.Target, s.State = t.Target, t.machine.State()
	return s
}

// wakeUp makes the scheduler look for due checks again.
func (m *Monitor) wakeUp() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
