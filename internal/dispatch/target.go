package dispatch

import (
	"net/netip"
	"time"

	"pen/internal/pool"
)

// A Target is a server to connect to. It is counted as connected until Failed
// or Done is called.
type Target struct {
	Slot int            // negative for the emergency and the abuse server
	Addr netip.AddrPort // where Path is empty
	Path string         // of a Unix socket
	// Timeout is how long the server may take to accept the connection.
	Timeout time.Duration
	// KeepAlive, EndWithClient, EndWithServer: see [Config].
	KeepAlive                    bool
	EndWithClient, EndWithServer bool
	// Source is the local address to connect from, if it is one of the server's
	// family; the zero one leaves it to the kernel.
	Source netip.Addr
	// Transparent says that Source is the client's.
	Transparent bool
	// Log and LogAnswer are called with every piece that is read from the client
	// and from the server, where they are not nil.
	Log, LogAnswer func(chunk []byte)
	// Spend, where it is not nil, is called with how many bytes were read from
	// either side, and returns how long nothing more is to be read from that
	// side. Piece is how many bytes may be read at a go then. A datagram that
	// comes meanwhile is dropped. Any goroutine may call it; it does not block.
	Spend func(n int) time.Duration
	Piece int
	// Preamble precedes the client's bytes; see [pool.Config].
	Preamble pool.Preamble
}

// String returns the address.
func (t Target) String() string {
	if t.Path != "" {
		return t.Path
	}
	return t.Addr.String()
}

// target is what Next returns of a server.
func (f *Flow) target(s *pool.Server) Target {
	t := f.d.target(s)
	t.Addr = f.addr(s)
	if client := f.client.addr(); f.d.transparent() && client.IsValid() {
		t.Source, t.Transparent = client, true
	}
	t.Log, t.LogAnswer = f.watchers(s)
	f.meterTarget(&t)
	return t
}

// Target is the server that was offered last, or which the flow uses.
func (f *Flow) Target() Target {
	f.d.mu.Lock()
	defer f.d.unlock()
	if f.server == nil {
		return Target{Slot: pool.None}
	}
	return f.target(f.server)
}

// watchers returns what a plane is to call with the bytes that it reads from
// the client and from the server, nil where nobody wants to see them.
func (f *Flow) watchers(s *pool.Server) (client, server func(chunk []byte)) {
	log, dump := f.d.cfg.Log, f.d.cfg.Dump
	if log == nil && dump == nil {
		return nil, nil
	}
	from, to := f.client.addr(), s.Path
	if to == "" {
		to = f.addr(s).Addr().String()
	}
	client = func(chunk []byte) {
		if log != nil {
			log(from, to, chunk)
		}
		if dump != nil {
			dump(from, to, true, chunk)
		}
	}
	if dump != nil {
		server = func(chunk []byte) { dump(from, to, false, chunk) }
	}
	return client, server
}

// transparent reports whether servers are to see the client's address.
func (d *Dispatcher) transparent() bool { return d.cfg.Transparent && !d.cfg.Source.IsValid() }

// target is what a plane needs to know of a server, whoever the client is.
func (d *Dispatcher) target(s *pool.Server) Target {
	cfg := d.cfg
	return Target{
		Slot: s.Slot, Addr: s.Addr, Path: s.Path,
		Timeout: cfg.ConnectTimeout, KeepAlive: cfg.KeepAlive, Source: cfg.Source,
		EndWithClient: cfg.EndWithClient, EndWithServer: cfg.EndWithServer, Preamble: s.Preamble,
	}
}
