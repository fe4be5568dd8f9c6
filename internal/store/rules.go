package store

import (
	"fmt"
	"slices"

	"pen/internal/config"
	"pen/internal/engine"
)

// IsRename reports whether a new service is an old one with another name: it has
// an address of it.
func IsRename(was *config.Service, is config.Service) bool {
	return was.Replaces(&is) &&
		slices.ContainsFunc(is.Listeners(), func(addr string) bool { return slices.Contains(was.Listeners(), addr) })
}

// keepsServing reports that a file takes all listeners away, or all servers of a
// service that listens: then it is most likely empty, or not all of it is there.
func keepsServing(old, next config.Config) error {
	const hint = "is it the whole file?"
	if old.Listens() && !next.Listens() {
		return fmt.Errorf("the file leaves nothing listening: %s", hint)
	}
	for _, s := range next.Services {
		if was := old.Service(s.Name); was != nil && was.Listen != "" && was.HasServer() && s.Listen != "" && !s.HasServer() {
			return config.InService(s.Name, fmt.Errorf("the file leaves no server behind %s: %s", s.Listen, hint))
		}
	}
	return nil
}

// mayRun reports a program in a configuration from the control socket that neither
// the command line nor the configuration file names: a client of the socket must not
// have Pen run what it likes.
func (s *Store) mayRun(next config.Config) error {
	return engine.Forbidden.Of(next.CheckPrograms(s.base, s.now.file, s.now.config))
}
