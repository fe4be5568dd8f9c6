package build

import (
	"math"
	"slices"

	"pen/internal/config"
)

const (
	// reserved descriptors are for everything but connections: listeners, the
	// control socket, files, and pipes with bulk data in flight.
	reserved = 256
	// scarce is what is reserved where more would leave fewer than MinConns.
	scarce = 16
	// MinConns is how many connections C Pen takes by default.
	MinConns = 500
)

// Descriptors is how many descriptors a process may open.
type Descriptors uint64

// flowCost is how many descriptors a connection takes, or a UDP flow.
func flowCost(s config.Service) int {
	if s.UDP {
		return 1
	}
	return 2
}

// ForConnections is how many there are for connections.
func (d Descriptors) ForConnections() int {
	files := int(min(d, math.MaxInt32))
	return max(files-reserved, min(2*MinConns, files-scarce), 2)
}

// ConnMax is how many connections a service may have: as many as the
// descriptors allow, unless the user wants fewer. UDP flows, which anybody may
// begin in any name, get half of that where there are connections as well, unless
// the user says how many.
func (d Descriptors) ConnMax(s config.Service, shared bool) int {
	files, each := int(min(d, math.MaxInt32)), flowCost(s)
	files -= min(s.Idlers, files/2)
	possible := max((files-reserved)/each, min(MinConns, (files-scarce)/each), 1)
	switch {
	case s.ConnMax == 0 && s.UDP && shared:
		return max(possible/2, 1)
	case s.ConnMax == 0:
		return possible
	}
	return min(s.ConnMax, possible)
}

// IsShared reports whether connections and UDP flows share the descriptors.
func IsShared(cfg config.Config) bool {
	tcp := func(s config.Service) bool { return !s.UDP && s.Listen != "" }
	udp := func(s config.Service) bool { return s.UDP && s.Listen != "" }
	all := cfg.Services
	return slices.ContainsFunc(all, tcp) && slices.ContainsFunc(all, udp)
}
