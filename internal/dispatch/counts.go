package dispatch

import (
	"iter"
	"sync/atomic"
)

// A Refusal is why a client got no server, or its request was not handed on.
type Refusal uint8

const (
	Denied      Refusal = iota // the access list denies it, and there is no abuse server
	Full                       // there are as many connections as there may be
	NoServer                   // no server was left to try
	ClientConns                // the client has as many flows as it may
	ClientRate                 // the client makes too many new flows
	ConnsLimit                 // the service has as many flows as it may
	RateLimit                  // the service gets too many new flows
	QueueFull                  // all servers were full, and the waiting queue as well
	QueueTime                  // no server had a place in time
	// Planes find these, and call Refuse.
	BadHeader         // no good PROXY header from a proxy that must send one
	BadHello          // no TLS, or a broken or slow handshake
	BadRequest        // an HTTP request that must not be handed on
	Busy              // no processor was free for a TLS handshake in time
	Refusals   = iota // how many there are
)

// String returns the refusal in a word or two.
func (r Refusal) String() string {
	return [Refusals]string{
		"denied", "full", "no server", "client connections", "client rate", "connections limit", "rate",
		"waiting queue full", "queue time", "proxy header", "tls handshake", "http request", "tls busy",
	}[r]
}

// A Drop is why a datagram went no further.
type Drop uint8

const (
	Overflow  Drop   = iota // a queue was full
	Unread                  // the listener's queue was full before it was read
	Unsent                  // the system would not send it
	Stopping                // the listener takes nothing new
	Bandwidth               // it was above the bandwidth
	Looped                  // it came from an address that Pen listens on
	Drops     = iota        // how many there are
)

// String returns the reason in a word or two.
func (d Drop) String() string {
	return [Drops]string{"queue full", "not read", "not sent", "stopping", "bandwidth", "own address"}[d]
}

// An Event is what happened to a flow that goes on, or was served.
type Event uint8

const (
	Displaced Event  = iota // it ended to make room for another one
	Delayed                 // it waited until it conformed to a rate
	Diverted                // it was over a limit, and went to the abuse server
	EarlyEnd                // its server ended it early, see [Config.EarlyEnd]
	Events    = iota        // how many there are
)

// String returns the event in a word or two.
func (e Event) String() string {
	return [Events]string{"displaced", "delayed", "diverted", "early end"}[e]
}

// Counts are how often each of these happened since the start.
type Counts struct {
	Refused [Refusals]uint64
	Dropped [Drops]uint64
	Events  [Events]uint64
}

// A Reason is a Refusal, a Drop or an Event.
type Reason interface{ String() string }

// Of returns how often one of them happened.
func (c *Counts) Of(what Reason) uint64 {
	switch what := what.(type) {
	case Refusal:
		return c.Refused[what]
	case Drop:
		return c.Dropped[what]
	case Event:
		return c.Events[what]
	}
	return 0
}

// shown is what status shows, in its order.
var shown = []Reason{
	Denied, Full, NoServer, Overflow, Unread, Unsent, Stopping, Displaced, ClientConns, ClientRate, ConnsLimit, RateLimit,
	Delayed, Diverted, QueueFull, QueueTime, Bandwidth, BadHeader, BadHello, BadRequest, Busy, Looped,
}

// Shown returns what status shows of the counts, in its order, by name.
func (c *Counts) Shown() iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		for _, what := range shown {
			if !yield(what.String(), c.Of(what)) {
				return
			}
		}
	}
}

// counters are Counts that grow. They need no lock.
type counters struct {
	refused [Refusals]atomic.Uint64
	dropped [Drops]atomic.Uint64
	events  [Events]atomic.Uint64
}

func (c *counters) counts() Counts {
	var out Counts
	for i := range c.refused {
		out.Refused[i] = c.refused[i].Load()
	}
	for i := range c.dropped {
		out.Dropped[i] = c.dropped[i].Load()
	}
	for i := range c.events {
		out.Events[i] = c.events[i].Load()
	}
	return out
}

// Drop counts n datagrams that went no further. It takes no lock.
func (d *Dispatcher) Drop(why Drop, n int) { d.counters.dropped[why].Add(uint64(n)) }

func (d *Dispatcher) note(e Event) { d.counters.events[e].Add(1) }
