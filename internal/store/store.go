// Package store keeps the configuration in use, what its file meant, and what
// earlier changes replaced. It says what a change makes of them and whether a
// running Pen may make it. It makes none itself: somebody else gives it text, puts
// the configurations that it returns into use, and tells it so.
package store

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"pen/internal/config"
	"pen/internal/engine"
)

const (
	// maxHistory is how many changes can be taken back, fewer where tables of
	// servers are long: maxSlots is how many slots all that is kept has.
	maxHistory = 20
	maxSlots   = 100_000
)

// A Store is what is remembered of configurations. It must not be used by two
// goroutines at a time.
type Store struct {
	base config.Config // the command line without its file
	now  state
	// read is what the file meant when it was last read: another thing than now.file
	// after a rollback.
	read config.Config
	past []state // what was replaced, oldest first
}

// A state is a configuration and the file that it came from: what the file meant,
// and the actions in it. A rollback takes both back, so that the next reload finds
// what is different in the file.
type state struct {
	config, file config.Config
	actions      []config.Command
}

// New returns a Store for what a command line means.
func New(inv config.Invocation) *Store {
	return &Store{base: inv.Base, now: state{inv.Config, inv.Config, inv.Run}, read: inv.Config}
}

// File is the name of the configuration file; it may be empty.
func (s *Store) File() string { return s.base.ConfigFile }

// Changes is how many changes can be taken back.
func (s *Store) Changes() int { return len(s.past) }

// A Draft is a change that has not been made yet.
type Draft struct {
	// Config is the configuration that it makes.
	Config config.Config
	// Effects are what it does to what runs, besides. They are in order.
	Effects []config.Effect
	// Actions are the commands of a file that are to be run after the change.
	Actions []config.Command
	// StartOnly reports that some of a file takes effect at the next start only: it
	// is not in Config.
	StartOnly bool
	// RolledBack reports that the file means what was rolled back. It applies once
	// the file is changed: a reload may be one for the rotation of logs.
	RolledBack bool

	// What the Store will have once the change is made; see there.
	file, read config.Config
	inFile     []config.Command
	past       []state
}

// draft returns a change to a configuration, whose tables of servers it shares with
// the present one where they are equal.
func (s *Store) draft(next config.Config) *Draft {
	next = next.Sharing(s.now.config)
	return &Draft{Config: next, file: s.now.file, inFile: s.now.actions, read: s.read, past: s.past}
}

// Commit reports that a change was made. It can be taken back unless everything is as
// before: a reload of the same file must not push out what was changed.
func (s *Store) Commit(d *Draft) {
	if len(d.past) == len(s.past) && !reflect.DeepEqual(s.now.config, d.Config) {
		d.past = recent(append(d.past, s.now))
	}
	s.now, s.read, s.past = state{d.Config, d.file, d.inFile}, d.read, d.past
}

// Set returns the change that settings make, in their order.
func (s *Store) Set(settings ...config.Command) (*Draft, error) {
	next := s.now.config
	var effects []config.Effect
	for _, cmd := range settings {
		var err error
		if next, err = next.With(cmd); err != nil {
			return nil, engine.Invalid.Of(err)
		}
		if next.KeepFixed(s.now.config) {
			return nil, engine.StartOnly.Of(fmt.Errorf("%s: can only be set at the start", cmd.Verb.Name))
		}
		e, err := cmd.Effect(next)
		if err != nil {
			return nil, engine.Invalid.Of(config.InService(cmd.Service, err))
		}
		effects = append(effects, e)
	}
	if err := s.mayRun(next); err != nil {
		return nil, err
	}
	d := s.draft(next)
	d.Effects = effects
	return d, nil
}

// Include returns the change that the settings in a file make on top of what there
// is. The commands before its first service line are for the service.
func (s *Store) Include(service, file string, open config.Opener) (*Draft, error) {
	next, run, err := config.ReadUnquoted(s.now.config, service, file, open)
	if err != nil {
		return nil, engine.Invalid.Of(err)
	}
	if err := s.mayRun(next); err != nil {
		return nil, err
	}
	if next.KeepFixed(s.now.config) {
		return nil, engine.StartOnly.Of(fmt.Errorf("include %s: has settings that can only be made at the start", file))
	}
	d := s.draft(next)
	d.Actions = run
	return d, nil
}

// Reload returns the change that the configuration file makes: what is different
// in it since it was last read. What was changed otherwise stays. Of the actions in
// the file only those are run that were not there before.
func (s *Store) Reload(open config.Opener) (*Draft, error) {
	file := s.File()
	after, run, err := config.ReadFile(s.base, config.DefaultService, file, open)
	if err != nil {
		return nil, engine.Invalid.Of(err)
	}
	d, err := s.merge(after, run)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if d.RolledBack {
		d = s.Same()
		d.RolledBack = true
	}
	return d, nil
}

// Plan is Reload from any file. An error does not quote it.
func (s *Store) Plan(file string, open config.Opener) (*Draft, error) {
	after, run, err := config.ReadUnquoted(s.base, config.DefaultService, file, open)
	if err != nil {
		return nil, engine.Invalid.Of(err)
	}
	d, err := s.merge(after, run)
	if err != nil {
		return nil, fmt.Errorf("plan: %s can't be used: %w", file, err)
	}
	return d, nil
}

// Same returns the change of nothing.
func (s *Store) Same() *Draft { return s.draft(s.now.config) }

func (s *Store) merge(after config.Config, run []config.Command) (*Draft, error) {
	next := config.Merge(s.now.file, after, s.now.config)
	startOnly := next.KeepFixed(s.now.config)
	if err := keepsServing(s.now.config, next); err != nil {
		return nil, engine.Invalid.Of(err)
	}
	d := s.draft(next)
	d.StartOnly, d.Actions = startOnly, added(s.now.actions, run)
	d.RolledBack = reflect.DeepEqual(after, s.read) && !reflect.DeepEqual(s.now.file, s.read)
	d.file, d.inFile, d.read = after, run, after
	return d, nil
}

// Rollback returns the change that takes the last one back.
func (s *Store) Rollback() (*Draft, error) {
	n := len(s.past) - 1
	if n < 0 {
		return nil, engine.NotFound.Of(errors.New("rollback: no change to take back"))
	}
	before := s.past[n]
	next := before.config.Clone()
	next.KeepFixed(s.now.config)
	d := s.draft(next)
	d.file, d.inFile, d.past = before.file, before.actions, s.past[:n]
	return d, nil
}

// Text returns a configuration as a file that was written at a time.
func Text(c config.Config, at time.Time) string {
	return fmt.Sprintf("# Generated by pen %s\n# %s\n%s", at.Format(time.DateTime), config.CommandLine(c), config.Print(c))
}

// recent returns the last ones that may be kept. Configurations that share a table
// of servers have it once.
func recent(all []state) []state {
	slots, counted := 0, map[*config.Server]bool{}
	for i := range all {
		for _, s := range all[len(all)-1-i].config.Services {
			if len(s.Servers) > 0 && !counted[&s.Servers[0]] {
				slots += len(s.Servers)
				counted[&s.Servers[0]] = true
			}
		}
		if i == maxHistory || i > 0 && slots > maxSlots {
			return slices.Clone(all[len(all)-i:]) // the others are let go
		}
	}
	return all
}

// added returns the commands that were not there before, so that a file that was
// not changed does nothing.
func added(before, after []config.Command) []config.Command {
	return slices.DeleteFunc(slices.Clone(after), func(b config.Command) bool {
		return slices.ContainsFunc(before, func(a config.Command) bool {
			return a.Verb == b.Verb && a.Service == b.Service && slices.Equal(a.Args, b.Args)
		})
	})
}
