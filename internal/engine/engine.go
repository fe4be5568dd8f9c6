// Package engine is what can be asked of a running Pen, and what it can be told
// to do, in Go types. The control socket is one dialect of it: it reads lines,
// makes these calls, and writes their results as text. Nothing here knows how
// anything is written or by which way a request came.
package engine

import (
	"fmt"
	"net/netip"
	"time"

	"pen/internal/config"
	"pen/internal/dispatch"
	"pen/internal/stats"
)

// An Engine is a running Pen. All methods may be called from any goroutine. The
// error of each one is a single line for the user, and has a [Kind] where a dialect
// may want to treat it in a way of its own.
type Engine interface {
	// Config returns the configuration in use. It must not be changed.
	Config() config.Config
	// Services returns an overview of all services, in their order.
	Services() []stats.Service
	// Service returns a service by its name. The error is NotFound.
	Service(name string) (Service, error)
	// Permits reports whether the control access list permits an address. An
	// invalid one is that of a Unix socket.
	Permits(addr netip.Addr) bool

	// Apply makes all settings effective in their order, as one change, or changes
	// nothing. It blocks while names are looked up and files are read.
	Apply(settings ...config.Command) error
	// Include applies the settings in a file as one change, like Apply, and returns
	// the other commands in it, which are still to be run.
	Include(service, file string) ([]config.Command, error)
	// Plan returns what a reload from a file would change. It changes nothing, and
	// blocks like Apply.
	Plan(file string) (Plan, error)
	// Rollback takes back the last change that is not taken back yet, and returns
	// what that has changed. The error is NotFound when there is none.
	Rollback() (config.Changes, error)
	// Write saves the configuration in use to a file, or to the one that it was read
	// from if the name is empty.
	Write(file string) error
	// Exit tells the process to stop. It does not wait. The error is Forbidden
	// unless the configuration enables it.
	Exit() error
}

// A Service is one service of an Engine.
type Service interface {
	// Numbers returns the counts of the service. It is cheap.
	Numbers() dispatch.Numbers
	// Servers returns the state of the servers, by slot.
	Servers() []stats.Server
	// Idlers is how many connections to servers are kept ready.
	Idlers() int
	// Snapshot returns the state of everything. Its cost grows with connections and
	// clients.
	Snapshot() stats.Snapshot
	// Explain returns where a new connection of a client would go now, and why.
	Explain(client netip.AddrPort) dispatch.Explanation
	// Kill closes a connection. It reports false if there is none of this number.
	Kill(connection int) bool
}

// A Plan is what a reload from a file would do.
type Plan struct {
	Changes config.Changes
	// RolledBack reports that the file was rolled back: its changes apply once it is
	// changed.
	RolledBack bool
	// StartOnly reports that some of the file takes effect at the next start only.
	StartOnly bool
	// Moved has the services whose remembered clients would lose their servers.
	Moved []Moved
}

// Moved says how many of a service's remembered clients would lose their server.
type Moved struct {
	Service      string
	Clients, All int
}

// Drain stops new clients to a server of a service, and closes its connections evenly
// within a time; 0 lets them finish.
func Drain(e Engine, service string, slot int, within time.Duration) error {
	line := fmt.Sprintf("drain %d", slot)
	if within > 0 {
		line += fmt.Sprintf(" within %dms", within.Milliseconds())
	}
	cmd, err := config.ParseLine(line)
	if err != nil {
		return Invalid.Of(err)
	}
	cmd.Service = service
	return e.Apply(cmd)
}
