package health

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"pen/internal/check"
)

const (
	maxReporters   = 1024 // connections of agents, of all servers
	maxOfOneServer = 4    // then its oldest goes
	// linesPerSecond is how many lines of an agent are read, after as many at
	// once: what it sends beyond that waits in its own queue.
	linesPerSecond = 10
	// sweep is how often a receiver looks for reports that are missing.
	sweep = 100 * time.Millisecond
)

// A Reporter is a server whose agent reports by itself.
type Reporter struct {
	Addr netip.Addr
	// Every is the longest time between two of its lines; a server that is
	// silent for longer is down until its next.
	Every       time.Duration
	Subscribers []Subscriber
}

// ReceiverOptions say how a Receiver works.
type ReceiverOptions struct {
	Log *slog.Logger
	// OnChange is told when a server goes up or down, because its agent says so
	// or says nothing; OnReport is told of each report that differs from the
	// last one. Either may be nil. The calls come one after the other, must
	// return soon, and must not wait for Set.
	OnChange func(netip.Addr, check.State)
	OnReport func(netip.Addr, check.Report)
	Now      func() time.Time // nil is time.Now
	MaxConns int              // of agents, at a time; 0 is 1024, the most
}

// A Receiver takes the reports of agents that connect to it. A connection is a
// server's if it comes from its address, and carries lines of the language of
// [check.ParseAgent], one or many. Its methods may be called from any
// goroutine.
type Receiver struct {
	opt ReceiverOptions

	telling sync.Mutex // held from a change to the end of the calls for it

	mu        sync.Mutex // guards all below; taken under telling
	reporters map[netip.Addr]*reporter
	order     []*reporter
	conns     int
	pulse     pulse
}

type reporter struct {
	Reporter
	status  ReporterStatus // without what is above
	journal journal
	heard   time.Time   // in time that this process has run
	due     time.Time   // of the next line, if lines came evenly
	spoken  bool        // there was a line
	says    check.State // Up or Down, what the last line said that spoke of it
	missed  bool
	conns   []closer // oldest first
}

// A closer is a connection.
type closer interface{ Close() error }

// A ReporterStatus is what is known of a Reporter.
type ReporterStatus struct {
	Reporter
	State  check.State
	Since  time.Time
	Heard  time.Time     // zero if no line has come
	Report *check.Report // the last; nil if there was none. Not to be changed

	Lines       uint64 // that were understood
	Bad         uint64 // and that were not
	Missed      uint64 // times that no line came
	Transitions uint64
}

// NewReceiver returns a Receiver that knows no servers. It starts nothing.
func NewReceiver(o ReceiverOptions) *Receiver {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxConns = min(cmp.Or(o.MaxConns, maxReporters), maxReporters)
	return &Receiver{opt: o, reporters: map[netip.Addr]*reporter{}, pulse: pulse{every: sweep}}
}

// Set makes these the servers that may report, one for each address. Those that
// were there before keep their states; the time of new ones begins now. The
// connections of those that are gone are closed, and nothing more is told of
// them once Set has returned.
func (r *Receiver) Set(servers []Reporter) {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.opt.Now()
	old := r.reporters
	r.reporters, r.order = make(map[netip.Addr]*reporter, len(servers)), nil
	for _, want := range servers {
		want.Addr = want.Addr.Unmap()
		if p := r.reporters[want.Addr]; p != nil { // shared
			p.Every = min(p.Every, want.Every)
			p.Subscribers = slices.Concat(p.Subscribers, want.Subscribers)
			continue
		}
		p := old[want.Addr]
		if p == nil {
			p = &reporter{heard: r.lived(now), status: ReporterStatus{Since: now}}
		}
		p.Reporter = want
		delete(old, want.Addr)
		r.reporters[want.Addr] = p
		r.order = append(r.order, p)
	}
	for _, p := range old {
		for _, c := range p.conns {
			c.Close()
		}
	}
}

// lived is the time less that in which this process did not run: a server is
// not silent because nobody listened.
func (r *Receiver) lived(now time.Time) time.Time { return now.Add(-r.pulse.lost) }

// States returns what is known of the servers, in the order in which they were
// set.
func (r *Receiver) States() []ReporterStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]ReporterStatus, 0, len(r.order))
	for _, p := range r.order {
		s := p.status
		s.Reporter = p.Reporter
		all = append(all, s)
	}
	return all
}

// line takes a line of a server's agent and reports whether to read on.
func (r *Receiver) line(p *reporter, text string) bool {
	report, err := check.ParseAgent(text)
	if err != nil {
		r.bad(p)
		return false
	}
	r.telling.Lock()
	defer r.telling.Unlock()
	r.mu.Lock()
	if r.reporters[p.Addr] != p {
		r.mu.Unlock()
		return false // gone
	}
	now := r.opt.Now()
	r.pulse.beat(now)
	s := &p.status
	s.Lines++
	s.Heard, p.heard, p.spoken, p.missed = now, r.lived(now), true, false
	if report.State != check.Unknown {
		p.says = report.State
	}
	n := p.judge(now, check.Reason(report.String()))
	if s.Report == nil || *s.Report != report {
		s.Report, n.report = &report, &report
	}
	who := p.Reporter
	r.mu.Unlock()
	r.tell(who, n)
	return true
}

// pace returns how long to wait until the next line of a server may be read.
func (r *Receiver) pace(p *reporter) time.Duration {
	const each = time.Second / linesPerSecond
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.opt.Now()
	if p.due.Before(now) {
		p.due = now
	}
	p.due = p.due.Add(each)
	return p.due.Sub(now) - linesPerSecond*each
}

// bad counts a line that nobody understands.
func (r *Receiver) bad(p *reporter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.status.Bad++
}

// judge says what follows from what a server's agent says, or does not say.
func (p *reporter) judge(now time.Time, reason string) (n news) {
	n.state = check.Unknown
	switch {
	case p.missed, p.says == check.Down:
		n.state = check.Down
	case p.spoken:
		n.state = check.Up
	}
	n.result.Reason = reason
	if n.changed = n.state != p.status.State; n.changed {
		p.status.State, p.status.Since = n.state, now
		p.status.Transitions++
	}
	n.log, n.leftOut = p.journal.admit(now, n.changed)
	return n
}

func (r *Receiver) tell(p Reporter, n news) {
	if n.log {
		t := Target{Subscribers: p.Subscribers}
		logState(r.opt.Log, n.state, n.leftOut, []any{
			"services", t.services(), "servers", t.servers(), "address", p.Addr, "check", "report", "reason", n.result.Reason,
		})
	}
	if n.changed && r.opt.OnChange != nil {
		r.opt.OnChange(p.Addr, n.state)
	}
	if n.report != nil && r.opt.OnReport != nil {
		r.opt.OnReport(p.Addr, *n.report)
	}
}

// watch looks for missing reports until ctx is done.
func (r *Receiver) watch(ctx context.Context) {
	ticker := time.NewTicker(sweep)
	defer ticker.Stop()
	r.mu.Lock()
	r.pulse.start(r.opt.Now())
	r.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			r.look()
		}
	}
}

// look finds the servers whose reports are missing.
func (r *Receiver) look() {
	r.telling.Lock()
	defer r.telling.Unlock()
	type item struct {
		who Reporter
		n   news
	}
	var found []item
	r.mu.Lock()
	now := r.opt.Now()
	r.pulse.beat(now)
	for _, p := range r.order {
		if !p.missed && r.lived(now).Sub(p.heard) > p.Every {
			p.missed = true
			p.status.Missed++
			found = append(found, item{p.Reporter, p.judge(now, "missed report")})
		}
	}
	r.mu.Unlock()
	for _, f := range found {
		r.tell(f.who, f.n)
	}
}
