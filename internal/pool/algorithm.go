package pool

// An Algorithm chooses the first server for a client that is not remembered
// (specification, section 6). C Pen does not have those from SmoothRoundRobin on; they
// give no new clients to a server of weight 0.
type Algorithm int

const (
	// RoundRobin takes the available servers in turn, from slot 0.
	RoundRobin Algorithm = iota
	// Hash takes slot (client address mod slots), whatever its state.
	Hash
	// HashPort is Hash with the client's port mixed into an IPv4 address.
	HashPort
	// Weight takes the available server with the fewest connections for its
	// weight (weighted least connections); the first one among equals.
	Weight
	// Prio takes the available server with the lowest prio number; the first
	// one among equals.
	Prio

	// SmoothRoundRobin takes the servers in turn, each in proportion to its weight and
	// at even distances: earliest deadline first.
	SmoothRoundRobin
	// LeastConn takes the server that has the fewest connections for its weight once
	// the new one is counted; equals take turns.
	LeastConn
	// PowerOfTwo draws two servers by weight and takes the one with fewer
	// connections for its weight.
	PowerOfTwo
	// Random draws a server by weight.
	Random
	// StaticHash spreads clients by their addresses over all servers by their
	// configured weights, whatever their states. Any change of these weights
	// moves most clients; see Maglev. For clients without an address both are
	// Random.
	StaticHash
	// Maglev spreads clients by their addresses by configured weights, so that few
	// move when the servers change (Eisenbud et al., NSDI 2016). The clients of a
	// server that is not available spread evenly over the others; no other clients
	// move.
	Maglev
	// First takes the first server that is below its Max.
	First
	// LeastTime draws two servers by weight and takes the one with less connect
	// time x connections for its weight, see [Pool.Observe].
	LeastTime

	Algorithms = iota // how many there are
)

// weighs reports whether a server of weight 0 takes no new clients.
func (a Algorithm) weighs() bool { return a == Weight || a >= SmoothRoundRobin }

// Spreads reports whether the algorithm chooses again for clients of an unavailable
// server. With C Pen's algorithms they go to the next slots.
func (a Algorithm) Spreads() bool { return a >= SmoothRoundRobin }

// adapts reports whether slow start and the weights of agents have an effect.
func (a Algorithm) adapts() bool {
	switch a {
	case Weight, SmoothRoundRobin, LeastConn, PowerOfTwo, Random, LeastTime:
		return true
	}
	return false
}

// hashes reports whether the algorithm may have a bound.
func (a Algorithm) hashes() bool { return a == StaticHash || a == Maglev }
