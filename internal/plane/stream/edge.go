package stream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"pen/internal/dispatch"
	"pen/internal/edge"
	"pen/internal/plane"
	"pen/internal/tlsterm"
	"pen/internal/wire"
)

// timeouts are how long a client may take for a header or a hello, for a
// handshake, for the head of a request, and to see that one was refused: what [edge]
// and lingerTime say, but in tests.
type timeouts struct{ header, handshake, head, linger time.Duration }

// Unable returns why Ends are refused by Configure, or nil.
func Unable(e *edge.Ends) error {
	if e.Datagrams != nil {
		return plane.Unable("stream", "datagrams")
	}
	return nil
}

// Configure implements [plane.Plane].
func (p *Plane) Configure(e *edge.Ends) error {
	if err := Unable(e); err != nil {
		return err
	}
	p.ends.Store(e)
	return nil
}

// asks reports whether a connection's client has to say something before there
// is a server for it: who it is, what it wants, or its part of a handshake.
func asks(e *edge.Ends, l *link) bool {
	return e.Routes != nil || e.TLS != nil || e.Proxies.Include(l.from.Addr())
}

// errNoPlace ends a connection whose service had no place in time.
var errNoPlace = errors.New("no place in its service")

// open finds out whose connection it is, and for which service, and admits it
// there, after the service that listens has. f is its flow there; the flow that
// open returns is to be ended in its stead, also after an error.
func (p *Plane) open(f *dispatch.Flow, l *link, s edge.Service) (*dispatch.Flow, edge.Service, error) {
	if s.Ends.Proxies.Include(l.from.Addr()) {
		if err := l.readHeader(); err != nil {
			l.refuse(s, dispatch.BadHeader)
			return f, s, err
		}
		if err := f.Admit(l.from); err != nil {
			return f, s, err
		}
	}
	if s.Ends.Routes != nil && !f.Diverted() {
		hello, err := l.readHello()
		if err != nil {
			l.refuse(s, dispatch.BadHello)
			return f, s, err
		}
		if to, ok := s.Ends.Routes.Find(hello); ok && to.Dispatcher != s.Dispatcher {
			if f, err = l.move(f, to); err != nil {
				return f, s, err
			}
			s = to
		}
	}
	edge.Within(l.client, 0)
	return f, s, nil
}

// move takes a connection to another service. It waits for a place there, for as
// long as a client may take for its hello: it has one in the service that listens.
func (l *link) move(f *dispatch.Flow, to edge.Service) (*dispatch.Flow, error) {
	ctx, cancel := l.cancelled()
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, l.plane.timeouts.header)
	defer cancel()
	for {
		moved, full, err := f.Move(to.Dispatcher, l.from, l)
		if err != nil {
			return f, err
		}
		if moved != nil {
			l.flow = moved
			return moved, nil
		}
		select {
		case <-full:
		case <-ctx.Done():
			l.refuse(to, dispatch.Full)
			return f, errNoPlace
		}
	}
}

// refuse says why a service refuses the client, or its request, unless the link was
// killed.
func (l *link) refuse(by edge.Service, why dispatch.Refusal) {
	if !l.broken.Load() {
		l.machine.Note(dispatch.Refused)
		l.flow.Refuse(by.Dispatcher, why)
	}
}

// refused notes why a connection ends at its begin, and how.
func (p *Plane) refused(l *link, err error) {
	l.machine.Note(dispatch.Refused)
	p.log.Debug("client refused", "client", l.from, "reason", err)
	if !errors.Is(err, dispatch.ErrDenied) && !errors.Is(err, dispatch.ErrFull) {
		l.broken.Store(true)
	}
}

// readHeader takes the PROXY header off the connection. The addresses that it
// gives are the client's and the one that the client asked for.
func (l *link) readHeader() error {
	edge.Within(l.client, l.plane.timeouts.header)
	length := 0
	err := l.peek(wire.MaxHeader, func(b []byte) (err error) {
		var h wire.Header
		if h, length, err = wire.ParseHeader(b); err == nil {
			l.told(h)
		}
		return err
	})
	if err == nil {
		_, err = io.CopyN(io.Discard, l.client, int64(length))
	}
	if err != nil {
		return fmt.Errorf("PROXY header: %w", err)
	}
	return nil
}

// told takes over what a header says. One that gives no addresses, and one of
// the proxy's own connection, leave those of the connection itself.
func (l *link) told(h wire.Header) {
	if h.Local {
		return
	}
	l.header.ALPN, l.header.Authority, l.header.UniqueID = h.ALPN, h.Authority, h.UniqueID
	if h.Source.IsValid() && !h.Datagram {
		l.from = h.Source
		l.header.Source, l.header.Destination = h.Source, h.Destination
	}
}

// readHello returns what the client asks for in the begin of TLS, or nil where
// it begins otherwise. Nothing is taken off the connection.
func (l *link) readHello() (*wire.Hello, error) {
	edge.Within(l.client, l.plane.timeouts.header)
	var hello wire.Hello
	err := l.peek(wire.MaxHello, func(b []byte) (err error) {
		hello, err = wire.ParseHello(b)
		return err
	})
	if errors.Is(err, wire.ErrNotTLS) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("ClientHello: %w", err)
	}
	if l.header.Authority == "" {
		l.header.Authority = hello.Name
	}
	return &hello, nil
}

// secure does the client's TLS handshake.
func (l *link) secure(server *tlsterm.Server) error {
	ctx, cancel := l.cancelled()
	defer cancel()
	edge.Within(l.client, l.plane.timeouts.handshake)
	t, err := edge.Accept(ctx, server, l.client, tlsterm.Peer{
		From: l.from.Addr(), Until: time.Now().Add(l.plane.timeouts.handshake),
		Look: func() (time.Duration, bool) { return silence(l.client) },
	})
	if err != nil {
		return err
	}
	edge.Within(l.client, 0)
	l.clientTLS = t
	state := t.ConnectionState()
	l.header.Authority, l.header.ALPN = state.ServerName, state.NegotiatedProtocol
	l.header.TLS = wire.TLS{Version: versionName(state.Version), Certificate: len(state.VerifiedChains) > 0, Resumed: state.DidResume}
	return nil
}

// forwarding says what a client's requests are to tell their server.
func (l *link) forwarding(h *edge.HTTP) wire.Forwarding {
	f := wire.Forwarding{Client: l.from.Addr(), Proto: "http", Forwarded: h.Forwarded, Trusted: edge.Contains(h.Trust, l.from.Addr()), MaxHead: h.MaxHead}
	if l.clientTLS != nil {
		f.Proto = "https"
	}
	return f
}

// versionName is how OpenSSL, and so others' PROXY headers, call a version of TLS.
func versionName(version uint16) string {
	return strings.Replace(tls.VersionName(version), " ", "v", 1)
}
