package health

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"time"

	"pen/internal/sock"
	"pen/internal/wire"
)

// Serve accepts connections of agents until ctx is done, and closes the listener. When it
// returns, every connection is closed and all its goroutines have ended. It blocks, and
// must be called only once.
func (r *Receiver) Serve(ctx context.Context, ln net.Listener) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	running.Go(func() { r.watch(ctx) })
	sock.Accept(ctx, ln, func(c net.Conn) {
		if p := r.admit(c); p != nil {
			running.Go(func() { r.serve(ctx, p, c) })
		}
	}, func(err error) { r.opt.Log.Warn("can't accept a connection of a server's agent", "error", err) })
}

// admit returns the server that a connection comes from. It closes the connection and
// returns nil if there is none, or no room for one more connection.
func (r *Receiver) admit(c net.Conn) *reporter {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.reporters[sock.AddrPort(c.RemoteAddr()).Addr().Unmap()]
	if p == nil || r.conns >= r.opt.MaxConns {
		c.Close()
		return nil
	}
	if len(p.conns) >= maxOfOneServer {
		p.conns[0].Close()
		p.conns = p.conns[1:]
	}
	p.conns = append(p.conns, c)
	r.conns++
	return p
}

// serve reads lines until the connection closes, or brings no line for as long as the
// server may be silent.
func (r *Receiver) serve(ctx context.Context, p *reporter, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer func() {
		stop()
		c.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		r.conns--
		if i := slices.Index(p.conns, closer(c)); i >= 0 {
			p.conns = slices.Delete(p.conns, i, i+1)
		}
	}()
	lines := newAgentReader(c)
	for {
		r.mu.Lock()
		every := p.Every
		r.mu.Unlock()
		c.SetReadDeadline(time.Now().Add(every))
		line, err := readAgentLine(lines)
		switch {
		case errors.Is(err, errLongLine), errors.Is(err, errNoEnd), wire.IsHTTPLine(line):
			r.countBad(p)
			return
		case err != nil || line != "" && !r.line(p, line):
			return
		}
		select {
		case <-time.After(r.pace(p)):
		case <-ctx.Done():
			return
		}
	}
}
