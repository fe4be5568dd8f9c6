package pool

// An Algorithm is how the first server of a client that is not remembered is
// chosen (specification, section 6). Those from SmoothRoundRobin on are not
// Pen's; none of them gives new clients to a server of weight 0.
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

	// SmoothRoundRobin takes the servers in turn, each as often as its weight
	// says and at even distances: earliest deadline first.
	SmoothRoundRobin
	// LeastConn takes the server that would have the fewest connections for its
	// weight with the new one; equals take turns.
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
	// Maglev spreads clients by their addresses by configured weights, so that
	// few move when the servers change (Eisenbud et al., NSDI 2016). Only the
	// clients of a server that takes none move elsewhere, evenly.
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

// Spreads reports whether the clients of a server that takes none go where the
// algorithm says, and not to the next slots as in Pen.
func (a Algorithm) Spreads() bool { return a >= SmoothRoundRobin }

// adapts reports whether slow start and the weights of agents have an effect.
func (a Algorithm) adapts() bool {
	switch a {
	case Weight, SmoothRoundRobin, LeastConn, PowerOfTwo, Random, LeastTime:
		return true
	}
	return false
}

// hashes reports whether it is one of those that may have a bound.
func (a Algorithm) hashes() bool { return a == StaticHash || a == Maglev }
