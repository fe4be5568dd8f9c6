package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/acl"
	"pen/internal/client"
	"pen/internal/pool"
)

// Config is all that the operator configures of a service's policy. It must not be
// changed after Configure: the Dispatcher reads it without a lock.
type Config struct {
	Pool       pool.Settings
	ACLs       *acl.Lists
	ClientACL  int
	NoTracking bool // the client table is kept, but does not choose
	Stubborn   bool // no failover
	// PerDatagram makes each datagram of a flow go to the server that the algorithm
	// chooses for it; clients are not remembered. See [Flow.Turn].
	PerDatagram bool
	Tracking    time.Duration // clients are forgotten after this; 0: never
	ClientsMax  int
	// Clients is a shared client table, whose owner sets its size and tracking time. nil
	// makes the Dispatcher keep its own.
	Clients *client.Table
	ConnMax int
	// Budget is shared with other services; a flow takes FlowCost of it. nil is
	// unlimited.
	Budget     *Budget
	FlowCost   int
	PendingMax int // flows that may wait for a server at a time; 0: no limit
	Limits     Limits
	// Prefix4 and Prefix6 are how many bits of an address identify a client; 0: all.
	// Clients of one network share an entry of the client table, and limits.
	Prefix4, Prefix6 int
	// Queue is how many flows may wait for a place while all servers are full, and
	// QueueTime how long; 0: as long as it takes.
	Queue     int
	QueueTime time.Duration
	// EarlyEnd is the age up to which a connection that its server ends without a byte
	// counts against the server; 0: never.
	EarlyEnd time.Duration
	// ConnectTimeout is how long a server may take to accept a connection.
	ConnectTimeout time.Duration
	// Dummy makes planes answer clients themselves; see [Flow.Dummy].
	Dummy bool
	// KeepAlive turns on TCP keep-alive probes of servers.
	KeepAlive bool
	// Source is the local address for connections to servers. The zero one leaves it to
	// the kernel.
	Source netip.Addr
	// Transparent makes the client's address the local one, unless Source is set:
	// servers see their clients.
	Transparent bool
	// EndWithClient and EndWithServer make a flow end as a whole when that side sends no
	// more.
	EndWithClient, EndWithServer bool
	// IdleTimeout is the time without a byte after which Sweep ends a flow. MaxAge is the
	// age at which Sweep does, or up to a tenth earlier. 0 is never.
	IdleTimeout, MaxAge time.Duration
	// CloseDown makes Sweep end the flows of servers that checks find down.
	CloseDown bool
	// Rebalance is how many flows a second Sweep may end because their clients belong to
	// another server. These clients are forgotten, so that they choose anew.
	Rebalance int
	// Idlers is how many connections to servers are kept ready for clients to come, see
	// [Dispatcher.Spares].
	Idlers int
	// Observer, which may be nil, sees changes of servers, and what Watch names.
	Observer Observer
	Watch    Watch

	era   uint32  // set by Configure, which counts
	lists acl.Set // those that decide about clients
}

// setLists finds the access lists that decide about clients.
func (c *Config) setLists() {
	c.lists = acl.SetOf(c.ClientACL)
	for i := range c.Pool.Servers {
		c.lists |= acl.SetOf(c.Pool.Servers[i].ACL)
	}
}

// permitting returns which of the access lists permit a client. It may take a while, so
// the lock should not be held.
func (c *Config) permitting(client netip.Addr) acl.Set { return c.ACLs.Permitting(c.lists, client) }

// key is what a client is known by: its address, or its network if Prefix4 or Prefix6
// is set.
func (c *Config) key(addr netip.Addr) netip.Addr {
	bits := c.Prefix6
	if addr.Is4() {
		bits = c.Prefix4
	}
	if bits <= 0 {
		return addr
	}
	if p, err := addr.Prefix(bits); err == nil {
		return p.Addr()
	}
	return addr
}

// takesTurns reports whether flows may go from server to server by themselves.
func (c *Config) takesTurns() bool {
	switch c.Pool.Algorithm {
	case pool.RoundRobin, pool.SmoothRoundRobin:
		return c.NoTracking || c.PerDatagram
	}
	return c.PerDatagram
}
