package names

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// maxBackoff is the longest time between attempts while there is no answer.
	maxBackoff = 30 * time.Second
	// refreshTime is the least time between two queries because of Refresh.
	refreshTime = time.Second
	// maxRemembered bounds the remembered answers to Lookup that Set has not asked for.
	maxRemembered = 4096
)

// Options configure a Watcher. The zero value of each is its default.
type Options struct {
	// OnChange is called with each new answer to a query, the first one included, that
	// Lookup has not returned before. The list has as many servers as the query has
	// places, or one for a host without places, and belongs to the callee. The calls
	// come from one goroutine of the Watcher, one after the other, and must not call
	// Close.
	OnChange func(Query, []Answer)
	Log      *slog.Logger // default: none

	// MinTTL and MaxTTL bound the TTL of an answer, whatever DNS says: 1 s and 5 min.
	// The answer is refreshed up to a tenth later than that.
	MinTTL, MaxTTL time.Duration
	Timeout        time.Duration // of a look-up with all its queries: 30 s
	Parallel       int           // look-ups at once, of two queries each: 8

	Hosts      string           // /etc/hosts
	ResolvConf string           // /etc/resolv.conf
	Servers    []netip.AddrPort // DNS servers; the ones of ResolvConf
	Exchange   Exchange         // by UDP and TCP
	// Usable reports whether this machine can reach an address; by default it looks for
	// a route.
	Usable func(netip.Addr) bool
}

// withDefaults fills in what is missing.
func (o Options) withDefaults() Options {
	if o.OnChange == nil {
		o.OnChange = func(Query, []Answer) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Exchange == nil {
		o.Exchange = exchange
	}
	if o.Usable == nil {
		o.Usable = hasRoute
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&o.MinTTL, time.Second}, {&o.MaxTTL, 5 * time.Minute}, {&o.Timeout, 30 * time.Second}} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	o.MaxTTL = max(o.MinTTL, o.MaxTTL)
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Hosts == "" {
		o.Hosts = "/etc/hosts"
	}
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	return o
}

// A Watcher keeps answers up to date. All methods may be called from any
// goroutine.
type Watcher struct {
	opt      Options
	resolver *resolver
	wake     chan struct{} // holds one request to run the scheduler
	stop     func()        // set by Start
	running  sync.WaitGroup

	mu      sync.Mutex // guards entries, and all fields of each
	entries map[Query]*entry
}

// An entry is a query and its answer.
type entry struct {
	query  Query
	wanted bool    // by Set; the other entries are answers to Lookup
	places []place // the last good answer, nil before the first; immutable
	news   bool    // OnChange must be called

	due      time.Time // of the next look-up
	asked    time.Time // when the last one started
	asking   bool      // one is running
	err      error     // of the last one
	failures int       // in a row
	logged   []string  // problems, since the last answer
	surplus  bool      // more servers than places, which was logged
}

// New returns a Watcher. It starts nothing.
func New(o Options) *Watcher {
	o = o.withDefaults()
	r := &resolver{
		exchange: o.Exchange,
		usable:   o.Usable,
		hosts:    newFile(o.Hosts, parseHosts),
		conf:     newFile(o.ResolvConf, parseResolvConf),
	}
	for _, s := range o.Servers {
		r.servers = append(r.servers, s.String())
	}
	return &Watcher{opt: o, resolver: r, wake: make(chan struct{}, 1), stop: func() {}, entries: map[Query]*entry{}}
}

// Start starts keeping answers up to date. It must be called once, before Close.
func (w *Watcher) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.stop = cancel
	w.running.Go(func() { w.run(ctx) })
}

// Close stops what Start has started, and waits for it: OnChange is not called after that.
func (w *Watcher) Close() {
	w.stop()
	w.running.Wait()
}

// Set replaces the queries to keep up to date, and forgets all others. An answer that
// Lookup has returned is kept. Literal addresses, and queries that Check refuses, are
// ignored. Set does not block.
func (w *Watcher) Set(wanted []Query) {
	w.mu.Lock()
	next := make(map[Query]*entry, len(wanted))
	for _, q := range wanted {
		if _, literal := q.literal(); literal || q.Check() != nil {
			continue
		}
		e := w.entries[q]
		if e == nil {
			e = &entry{query: q, due: time.Now()}
		}
		e.wanted = true
		next[q] = e
	}
	w.entries = next
	w.mu.Unlock()
	w.wakeUp()
}

// Lookup returns the answer to a query: the one that is kept up to date, if there is one,
// or that of a look-up, for which it blocks at most until ctx is done. The error is why
// there is no answer. It may be called before Start.
func (w *Watcher) Lookup(ctx context.Context, q Query) ([]Answer, error) {
	if err := q.Check(); err != nil {
		return nil, err
	}
	if addr, ok := q.literal(); ok {
		return []Answer{{Addr: addr}}, nil
	}
	w.mu.Lock()
	var held []place
	if e := w.entries[q]; e != nil {
		held = e.places
		if e.current(time.Now()) {
			w.mu.Unlock()
			return answers(held), nil
		}
	}
	w.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, w.opt.Timeout)
	defer cancel()
	out := w.resolver.resolve(ctx, q, held)
	if out.places == nil {
		return nil, fmt.Errorf("look up %s: %w", q.Name, out.err)
	}
	return answers(w.remember(q, out)), nil
}

// Known returns the answer to a query of Set, or why there is none yet. wanted is false if
// Set was not called with the query. Known does not block.
func (w *Watcher) Known(q Query) (list []Answer, wanted bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.entries[q]
	switch {
	case e == nil || !e.wanted:
		return nil, false, nil
	case e.places == nil:
		return nil, true, fmt.Errorf("look up %s: %w", q.Name, cmp.Or(e.err, errNoReply))
	}
	return answers(e.places), true, nil
}

// Refresh looks up again at once those of the queries that are kept up to date, but each at
// most once in refreshTime. It does not block.
func (w *Watcher) Refresh(queries ...Query) {
	w.mu.Lock()
	now := time.Now()
	for _, q := range queries {
		e := w.entries[q]
		if e == nil || !e.wanted || e.asking {
			continue
		}
		if at := e.asked.Add(refreshTime); at.After(now) {
			e.due = earlier(e.due, at)
		} else {
			e.due = now
		}
	}
	w.mu.Unlock()
	w.wakeUp()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// current reports whether an entry has an answer that needs no look-up.
func (e *entry) current(now time.Time) bool {
	return e.places != nil && (e.wanted || now.Before(e.due))
}

// remember records what Lookup has found, unless another look-up was quicker, and returns
// the answer in use.
func (w *Watcher) remember(q Query, out outcome) []place {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, now := w.entries[q], time.Now()
	switch {
	case e == nil && len(w.entries) >= maxRemembered:
		return out.places
	case e == nil:
		e = &entry{query: q, asked: now}
		w.entries[q] = e
	case e.current(now):
		return e.places
	}
	w.update(e, out, now)
	e.news = e.wanted // OnChange must be called for it as well
	if e.wanted {
		w.wakeUp()
	}
	return e.places
}

// wakeUp makes the scheduler run.
func (w *Watcher) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default: // it will run anyway
	}
}

// A result is the outcome of a look-up for an entry whose answer was held.
type result struct {
	entry *entry
	held  []place
	out   outcome
}

// run is the scheduler. It returns when ctx is done and all look-ups that it has started
// have ended.
func (w *Watcher) run(ctx context.Context) {
	results := make(chan result)
	timer := time.NewTimer(0)
	defer timer.Stop()
	asking := 0
	for ctx.Err() == nil {
		begin, wait := w.next(time.Now(), w.opt.Parallel-asking)
		for _, r := range begin {
			asking++
			go func() { // run waits for its result, here or below
				limited, cancel := context.WithTimeout(ctx, w.opt.Timeout)
				defer cancel()
				r.out = w.resolver.resolve(limited, r.entry.query, r.held)
				results <- r
			}()
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-w.wake:
		case <-timer.C:
		case r := <-results:
			asking--
			w.put(r)
		}
		w.publish(ctx)
	}
	for ; asking > 0; asking-- {
		<-results
	}
}

// next returns at most n look-ups that are due, the longest overdue first, and the time
// until more are due. It goes through all entries, of which there are a few hundred at most.
func (w *Watcher) next(now time.Time, n int) (begin []result, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wait = w.opt.MaxTTL
	var due []*entry
	for _, e := range w.entries {
		switch {
		case !e.wanted || e.asking:
		case e.due.After(now):
			wait = min(wait, e.due.Sub(now))
		default:
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *entry) int { return a.due.Compare(b.due) })
	for _, e := range due[:min(n, len(due))] { // the others start when one of these ends
		e.asking, e.asked = true, now
		begin = append(begin, result{entry: e, held: e.places})
	}
	return begin, wait
}

// put records a result, unless the query was removed, or Lookup was quicker with the first
// answer.
func (w *Watcher) put(r result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.entry.asking = false
	if w.entries[r.entry.query] == r.entry && (r.held != nil || r.entry.places == nil) {
		w.update(r.entry, r.out, time.Now())
	}
}

// update records an outcome in an entry. Called with w.mu held.
func (w *Watcher) update(e *entry, out outcome, now time.Time) {
	if out.places != nil {
		e.news = e.news || !slices.EqualFunc(e.places, out.places, func(a, b place) bool { return a.Answer.equal(b.Answer) })
		e.places = out.places
		if surplus := out.surplus > 0; surplus != e.surplus {
			e.surplus = surplus
			if surplus {
				w.opt.Log.Warn("more servers of a name than places", "name", e.query.Name, "places", e.query.Places, "surplus", out.surplus)
			}
		}
	}
	e.err = out.err
	hold := min(max(out.ttl, w.opt.MinTTL), w.opt.MaxTTL)
	if out.err == nil {
		if e.failures > 0 {
			w.opt.Log.Info("name is answered again", "name", e.query.Name, "failures", e.failures)
		}
		e.failures, e.logged = 0, nil
	} else {
		w.warn(e, out.err)
		pause := w.backoff(e.failures)
		if out.places == nil || pause < hold {
			hold = pause
		}
		e.failures++
	}
	e.due = now.Add(hold + rand.N(hold/10+1))
}

// backoff is the pause after one more failure than failures in a row.
func (w *Watcher) backoff(failures int) time.Duration {
	return min(w.opt.MinTTL<<min(failures, 10), max(maxBackoff, w.opt.MinTTL), w.opt.MaxTTL)
}
