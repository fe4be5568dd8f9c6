package dispatch

import (
	"errors"
	"net/netip"
	"time"
)

// ErrLimited says that a client is over one of the Limits and that there is no abuse
// server for it. The plane must reset its connection, or drop its datagram.
var ErrLimited = errors.New("over a limit")

// Limits keep one client, or all together, from using more than they should.
// 0 is no limit. Limits of one client do not apply to clients of Unix sockets, which
// have no address.
//
// A client over a limit that is only too early for a rate waits until it conforms, for
// Delay at most. Any other one gets the abuse server, or is refused if there is none.
// Clients of the abuse server do not count.
type Limits struct {
	ClientConns int     // live flows of one client, see [Config.Prefix4]
	ClientRate  float64 // new flows of one client a second; as many may come at once, one at least
	Conns       int     // live flows of the service
	Rate        float64 // new flows of the service a second; as many may come at once, one at least
	ServerRate  float64 // new flows a second of each server, above which it counts as full
	// Bandwidth and ConnBandwidth are bytes a second, both ways together, of the
	// service and of each flow; see [Meter.Charge]. They hold for flows that come
	// to a server when there is one of them.
	Bandwidth, ConnBandwidth int64
	// Delay is how long a client that comes too early may be made to wait.
	Delay time.Duration
}

// byClient reports whether each client has limits.
func (l Limits) byClient() bool { return l.ClientConns > 0 || l.ClientRate > 0 }

// maxDelayed bounds the flows that wait because they came too early.
const maxDelayed = 1024

// A limiter counts what limits compare. The Dispatcher's lock guards it.
type limiter struct {
	clients usages
	conns   int    // flows of permitted clients
	rate    gcra   // of the service
	servers []gcra // by slot
	delayed waitList
}

// A gcra is the state of one rate limit by the generic cell rate algorithm in
// its form of virtual scheduling (ITU-T I.371, annex A): the theoretical
// arrival time of the next event. The zero one has seen no event.
type gcra time.Duration

// wait is how long an event must wait from now on to conform.
func (g gcra) wait(tolerance, now time.Duration) time.Duration {
	return max(0, time.Duration(g)-tolerance-now)
}

// arrive counts an event that conforms at a time.
func (g *gcra) arrive(interval, at time.Duration) {
	*g = gcra(max(time.Duration(*g), at) + interval)
}

// longest bounds the intervals of rates close to 0.
const longest = 365 * 24 * time.Hour

// pace returns GCRA's interval and tolerance for a rate a second. The burst is one
// second's events, at least one.
func pace(rate float64) (interval, tolerance time.Duration) {
	interval = time.Duration(min(float64(time.Second)/rate, float64(longest)))
	return interval, max(0, time.Second-interval)
}

// early is how long an event must wait to conform to a rate; 0 is no limit.
func (g gcra) early(rate float64, now time.Duration) time.Duration {
	if rate <= 0 {
		return 0
	}
	_, tolerance := pace(rate)
	return g.wait(tolerance, now)
}

// count counts an event under a rate; 0 is no limit.
func (g *gcra) count(rate float64, at time.Duration) {
	if rate > 0 {
		interval, _ := pace(rate)
		g.arrive(interval, at)
	}
}

// mayDelay reports whether a client that is too early by so much is delayed.
func (d *Dispatcher) mayDelay(early time.Duration) bool {
	return early > 0 && early <= d.cfg.Limits.Delay && d.limits.delayed.n < maxDelayed
}

// overLimit reports whether a new flow of a client would be over a limit, and over which.
// wait is how long it must wait to conform, or 0 if waiting does not help.
func (d *Dispatcher) overLimit(client netip.Addr, now time.Duration) (wait time.Duration, why Refusal, over bool) {
	lim, known := &d.cfg.Limits, usage{}
	if lim.byClient() && client.IsValid() {
		known = d.limits.clients.of(client)
	}
	switch {
	case lim.ClientConns > 0 && int(known.live) >= lim.ClientConns:
		return 0, ClientConns, true
	case lim.Conns > 0 && d.limits.conns >= lim.Conns:
		return 0, ConnsLimit, true
	}
	all := d.limits.rate.early(lim.Rate, now)
	if own := known.rate.early(lim.ClientRate, now); own > 0 {
		return max(own, all), ClientRate, true
	}
	return all, RateLimit, all > 0
}

// countFlow counts an admitted flow under every limit, as of the moment at which it may
// go on.
func (d *Dispatcher) countFlow(f *Flow, now time.Duration) {
	lim, at := &d.cfg.Limits, now+f.mustWait()
	d.limits.conns++
	d.limits.rate.count(lim.Rate, at)
	d.limits.clients.prune(now)
	if key := f.key(); lim.byClient() && key.IsValid() {
		f.usage = d.limits.clients.count(key)
		d.limits.clients.all[f.usage].rate.count(lim.ClientRate, at)
	}
}

// uncountFlow undoes the parts of countFlow that count live flows.
func (d *Dispatcher) uncountFlow(f *Flow) {
	if f.judgement != permitted {
		return
	}
	d.limits.conns--
	if f.usage != 0 {
		d.limits.clients.uncount(f.usage)
		f.usage = 0
	}
}

// setLimits applies limits and prefixes to live flows. If clients are told apart in
// another way than before, it costs O(flows) in one hold of the lock.
func (d *Dispatcher) setLimits(cfg *Config) {
	same := cfg.Prefix4 == d.cfg.Prefix4 && cfg.Prefix6 == d.cfg.Prefix6
	if same && cfg.Limits.byClient() == d.cfg.Limits.byClient() {
		return
	}
	d.limits.clients = usages{}
	clear(d.unidentified)
	for f := range d.flows.live {
		addr := f.client.addr()
		key, was := cfg.key(addr), d.cfg.key(addr)
		if f.table != nil && was != key {
			table := f.table
			d.woken = append(d.woken, func() { table.End(was, 0, 0) })
			f.table = nil
		}
		f.usage = 0
		if cfg.Limits.byClient() && f.judgement == permitted && key.IsValid() {
			f.usage = d.limits.clients.count(key)
		}
		if f.phase == identifying {
			d.unidentified.add(key)
		}
	}
}

// overRate reports whether a server has got as many flows as ServerRate allows for now.
// Emergency and abuse servers have no such limit.
func (d *Dispatcher) overRate(slot int, now time.Duration) bool {
	return slot >= 0 && slot < len(d.limits.servers) && d.limits.servers[slot].early(d.cfg.Limits.ServerRate, now) > 0
}

// countServer counts a flow that goes to a server.
func (d *Dispatcher) countServer(slot int, now time.Duration) {
	if slot < 0 || d.cfg.Limits.ServerRate <= 0 {
		return
	}
	for len(d.limits.servers) <= slot {
		d.limits.servers = append(d.limits.servers, 0)
	}
	d.limits.servers[slot].count(d.cfg.Limits.ServerRate, now)
}
