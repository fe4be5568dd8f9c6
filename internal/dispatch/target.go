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
	// Tap must be shown all that is read, unless it is nil.
	Tap *Tap
	// Meter must be charged with all that is read, from either side, unless it is nil:
	// then there is no limit. MaxRead is how many bytes may be read at a go.
	Meter   *Meter
	MaxRead int
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

// target fills in what Next returns of a server.
func (f *Flow) target(t *Target, s *pool.Server) {
	f.d.target(t, s)
	t.Addr = f.addr(s)
	if client := f.client.addr(); f.d.transparent() && client.IsValid() {
		t.Source, t.Transparent = client, true
	}
	t.Tap = f.tap(s)
	f.meterTarget(t)
}

// Target is the server that was offered last, or which the flow uses.
func (f *Flow) Target() (t Target) {
	f.d.mu.Lock()
	defer f.d.unlock()
	if t.Slot = pool.None; f.server != nil {
		f.target(&t, f.server)
	}
	return t
}

// A Tap shows an [Observer] what is read for one flow. The nil Tap shows nothing.
type Tap struct {
	observer Observer
	watch    Watch
	client   netip.Addr
	server   string
}

// tap returns the flow's Tap at a server, or nil where nobody watches.
func (f *Flow) tap(s *pool.Server) *Tap {
	watch := f.d.cfg.Watch & (WatchClients | WatchServers)
	if watch == 0 {
		return nil
	}
	t := &Tap{f.d.cfg.Observer, watch, f.client.addr(), s.Path}
	if t.server == "" {
		t.server = f.addr(s).Addr().String()
	}
	return t
}

// Sees reports whether bytes of the client, or of the server, must be shown.
func (t *Tap) Sees(fromClient bool) bool {
	side := WatchServers
	if fromClient {
		side = WatchClients
	}
	return t != nil && t.watch&side != 0
}

// Show shows a chunk that was read, if it must be shown. The caller keeps the chunk. It
// does not block.
func (t *Tap) Show(fromClient bool, chunk []byte) {
	if t.Sees(fromClient) {
		t.observer.Read(t.client, t.server, fromClient, chunk)
	}
}

// transparent reports whether servers are to see the client's address.
func (d *Dispatcher) transparent() bool { return d.cfg.Transparent && !d.cfg.Source.IsValid() }

// target fills in what a plane needs to know of a server, for any client.
func (d *Dispatcher) target(t *Target, s *pool.Server) {
	cfg := d.cfg
	*t = Target{
		Slot: s.Slot, Addr: s.Addr, Path: s.Path,
		Timeout: cfg.ConnectTimeout, KeepAlive: cfg.KeepAlive, Source: cfg.Source,
		EndWithClient: cfg.EndWithClient, EndWithServer: cfg.EndWithServer, Preamble: s.Preamble,
	}
}
