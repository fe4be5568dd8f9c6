package dispatch

// A Reason is why a client, or something that it has sent, went no further.
// Each is counted in [Status].
type Reason uint8

// The Dispatcher counts the first three itself; planes call Refuse for the next
// ones.
const (
	Denied    Reason = iota // by the access list, and there is no abuse server
	Full                    // there are as many connections as there may be
	NoServer                // no server was left to try
	Overflow                // a queue was full
	Unread                  // the listener's queue was full before we read it
	Unsent                  // a datagram that the system would not send
	Stopping                // the listener takes nothing new
	Displaced               // a flow that ended to make room for a new one
	// The Dispatcher counts the following itself, but for Bandwidth.
	ClientConns // the client has as many flows as it may
	ClientRate  // the client makes too many new flows
	ConnsLimit  // the service has as many flows as it may
	RateLimit   // the service gets too many new flows
	Delayed     // not refused: held until it conformed to a rate
	Diverted    // not refused: over a limit, and sent to the abuse server
	QueueFull   // all servers were full, and the waiting queue as well
	QueueTime   // no server had a place in time
	Bandwidth   // a datagram above the bandwidth
	// Planes count these.
	BadHeader         // no good PROXY header from a proxy that must send one
	BadHello          // no TLS, or a broken or slow handshake
	BadRequest        // an HTTP request that is not to be handed on
	Busy              // no processor was free for a TLS handshake in time
	Looped            // a datagram from an address that we listen on
	Reasons    = iota // how many there are
)

// String returns the reason in a word or two.
func (r Reason) String() string {
	return [Reasons]string{
		"denied", "full", "no server", "queue full", "not read", "not sent", "stopping", "displaced",
		"client connections", "client rate", "connections limit", "rate", "delayed", "diverted", "waiting queue full", "queue time", "bandwidth",
		"proxy header", "tls handshake", "http request", "tls busy", "own address",
	}[r]
}

// Refuse counts something that was refused or dropped. It does not block.
func (d *Dispatcher) Refuse(r Reason, n int) {
	d.refused[r].Add(uint64(n))
}
