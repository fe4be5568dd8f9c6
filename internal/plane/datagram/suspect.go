package datagram

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"pen/internal/dispatch"
	"pen/internal/plane"
)

// That a datagram was refused is what an ICMP message says, which anybody can
// forge who can guess a port. It moves its flow, and no more. A server is taken
// out of rotation when it has refused several clients, or one client many times,
// for a time in which it has answered nobody.
const (
	enoughClients  = 3
	enoughRefusals = 16
	enoughTime     = time.Second
)

// A serverKey tells servers apart.
type serverKey struct {
	addr netip.AddrPort
	path string
}

// maxSuspects bounds the servers that are kept in mind, where names have given
// many addresses.
const maxSuspects = 1024

// A suspect is a server, and what speaks against it since its last answer. The
// Plane's lock guards what is not atomic.
type suspect struct {
	accused  atomic.Bool // cleared by an answer
	since    time.Time   // of the first refusal
	refusals int
	clients  []netip.Addr // no more than enoughClients
}

// answered clears a server of all suspicion. Any goroutine may call it.
func (s *suspect) answered() {
	if s.accused.Load() {
		s.accused.Store(false)
	}
}

// refused notes that a client's datagram was refused, and reports whether that
// makes it enough.
func (s *suspect) refused(client netip.Addr, now time.Time) bool {
	if !s.accused.Swap(true) {
		s.since, s.refusals, s.clients = now, 0, s.clients[:0]
	}
	s.refusals++
	if client = network(client); len(s.clients) < enoughClients && !slices.Contains(s.clients, client) {
		s.clients = append(s.clients, client)
	}
	return now.Sub(s.since) >= enoughTime && (len(s.clients) >= enoughClients || s.refusals >= enoughRefusals)
}

// network is what one owner has of addresses.
func network(a netip.Addr) netip.Addr {
	if a.Is6() && !a.Is4In6() {
		if p, err := a.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return a
}

// suspect returns what is known of a server.
func (p *Plane) suspect(t dispatch.Target) *suspect {
	key := serverKey{t.Addr, t.Path}
	s := p.suspects[key]
	if s == nil {
		if len(p.suspects) >= maxSuspects {
			clear(p.suspects)
		}
		s = &suspect{}
		p.suspects[key] = s
	}
	return s
}

// blame returns why a flow's server could not be reached, as [dispatch.Flow.Lost]
// wants it. A Unix socket that nobody reads is no matter of belief.
func (p *Plane) blame(f *flow, err error) error {
	if f.target.Path == "" && !(isRefusal(err) && f.suspect.refused(f.client(), time.Now())) {
		return fmt.Errorf("%w: %w: %w", dispatch.ErrLocal, errUnproven, err)
	}
	return plane.Blame(err)
}

// isRefusal reports whether an error comes from the server's machine. Where there
// is no way to it, our own network may be down.
func isRefusal(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOPROTOOPT)
}

// failed logs that a flow's server can't be reached; for an operator now and then,
// as an ICMP message may say so very often.
func (p *Plane) failed(f *flow, err error, ejected bool) {
	level := slog.LevelDebug
	if n := p.lost.Due(); ejected || n > 0 {
		level = slog.LevelWarn
	}
	p.log.Log(context.Background(), level, "can't send to server", "server", f.target.Slot, "address", f.target, "error", err)
}
