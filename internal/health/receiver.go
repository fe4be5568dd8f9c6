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
	maxOfOneServer = 4    // then the oldest one is closed
	// linesPerSecond is how many lines of an agent are read in a second, and at once.
	// What it sends beyond that waits in its socket.
	linesPerSecond = 10
	// sweep is how often a receiver looks for missing reports.
	sweep = 100 * time.Millisecond
)

// A Reporter is a server whose agent connects and reports.
type Reporter struct {
	Addr netip.Addr
	// Every is the longest time between two of its lines. A server that is silent for
	// longer is down until its next line.
	Every       time.Duration
	Subscribers []Subscriber
}

// ReceiverOptions configure a Receiver.
type ReceiverOptions struct {
	Log *slog.Logger
	// OnChange is called when a server goes up or down, because its agent says so or is
	// silent; OnReport with each report that differs from the last one. Either may be
	// nil. The calls come one after the other, must return soon, and must not wait for
	// Set.
	OnChange func(netip.Addr, check.State)
	OnReport func(netip.Addr, check.Report)
	Now      func() time.Time // nil is time.Now
	MaxConns int              // connections of agents at once; 0 is 1024, the maximum
}

// A Receiver receives the reports of agents that connect to it. A connection belongs to
// the server at whose address it comes from, and carries one or more lines for
// [check.ParseAgent]. Its methods may be called from any goroutine.
type Receiver struct {
	opt ReceiverOptions

	publishing sync.Mutex // held from a change to the end of the calls for it

	mu        sync.Mutex // guards all below; taken with publishing held
	reporters map[netip.Addr]*reporter
	order     []*reporter
	conns     int
	pulse     pulse
}

type reporter struct {
	Reporter
	status  ReporterStatus // without the fields above
	journal journal
	heard   time.Time   // when the last line came, on the clock of ranTime
	due     time.Time   // when the next line may be read, at linesPerSecond
	spoken  bool        // there was a line
	says    check.State // Up or Down: the last state in a line
	missed  bool        // its last report is missing
	conns   []closer    // oldest first
}

// A closer is a connection.
type closer interface{ Close() error }

// A ReporterStatus is what is known of a Reporter.
type ReporterStatus struct {
	Reporter
	State  check.State
	Since  time.Time
	Heard  time.Time     // when the last line came; zero before the first one
	Report *check.Report // the last one, or nil; must not be changed

	Lines       uint64 // valid ones
	Bad         uint64 // invalid ones
	Missed      uint64 // times that a line was missing
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

// Set replaces the servers that may report, one for each address. Those that were set
// before keep their states; the time of new ones starts now. The connections of the
// others are closed, and the functions of the options are not called for them any more
// once Set has returned.
func (r *Receiver) Set(servers []Reporter) {
	r.publishing.Lock()
	defer r.publishing.Unlock()
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
			p = &reporter{heard: r.ranTime(now), status: ReporterStatus{Since: now}}
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

// ranTime is a clock that stands still while this process does not run: a server is not
// silent while nobody listens.
func (r *Receiver) ranTime(now time.Time) time.Time { return now.Add(-r.pulse.lost) }

// States returns what is known of the servers, in the order of Set.
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

// line processes a line of a server's agent and reports whether to read on.
func (r *Receiver) line(p *reporter, text string) bool {
	report, err := check.ParseAgent(text)
	if err != nil {
		r.countBad(p)
		return false
	}
	r.publishing.Lock()
	defer r.publishing.Unlock()
	r.mu.Lock()
	if r.reporters[p.Addr] != p {
		r.mu.Unlock()
		return false // it was removed
	}
	now := r.opt.Now()
	r.pulse.beat(now)
	s := &p.status
	s.Lines++
	s.Heard, p.heard, p.spoken, p.missed = now, r.ranTime(now), true, false
	if report.State != check.Unknown {
		p.says = report.State
	}
	n := p.judge(now, check.Reason(report.String()))
	if s.Report == nil || *s.Report != report {
		s.Report, n.report = &report, &report
	}
	who := p.Reporter
	r.mu.Unlock()
	r.publish(who, n)
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

// countBad counts an invalid line.
func (r *Receiver) countBad(p *reporter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.status.Bad++
}

// judge sets a server's state by what its agent says, or by its silence.
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

// publish logs what is new and calls the functions of the options.
func (r *Receiver) publish(p Reporter, n news) {
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
			r.findMissing()
		}
	}
}

// findMissing sets the servers down whose reports are missing.
func (r *Receiver) findMissing() {
	r.publishing.Lock()
	defer r.publishing.Unlock()
	type item struct {
		who Reporter
		n   news
	}
	var found []item
	r.mu.Lock()
	now := r.opt.Now()
	r.pulse.beat(now)
	for _, p := range r.order {
		if !p.missed && r.ranTime(now).Sub(p.heard) > p.Every {
			p.missed = true
			p.status.Missed++
			found = append(found, item{p.Reporter, p.judge(now, "missed report")})
		}
	}
	r.mu.Unlock()
	for _, f := range found {
		r.publish(f.who, f.n)
	}
}
