package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// noKeys is the error of a server command that sets nothing.
const noKeys = "want a slot and what to set: server N address HOST port P ..."

// setServerCommand is the server verb: server SLOT KEY VALUE..., or server
// SLOT remove. SLOT may be a range, for servers that are alike or that DNS lists
// under one name.
func setServerCommand(service *Service, _ bool, args []string) error {
	first, servers, err := service.serversOf(args)
	if err != nil {
		return err
	}
	for i, s := range servers {
		service.setServer(first+i, s)
	}
	return nil
}

// tryServerCommand reports what is wrong with a server command. It makes no
// table, which would be as long as the slot's number says: each line is tried,
// and a file may have thousands.
func tryServerCommand(_ *Config, s *Service, _ bool, args []string) error {
	_, _, err := s.serversOf(args)
	return err
}

// serversOf returns what a server command makes of the servers that it speaks
// of, which stand from a slot on.
func (service *Service) serversOf(args []string) (first int, servers []Server, err error) {
	if len(args) < 2 {
		return 0, nil, errors.New(noKeys)
	}
	first, last, err := service.slotsOf(args[0])
	if err != nil {
		return 0, nil, err
	}
	servers = make([]Server, last-first+1)
	for i := range servers {
		if servers[i], err = service.changed(first+i, args[0], args[1:]); err != nil {
			return 0, nil, err
		}
	}
	return first, servers, nil
}

// changed returns a server with its keys set, of a command that calls it word.
func (service *Service) changed(slot int, word string, keys []string) (Server, error) {
	s := service.server(slot)
	for rest := keys; len(rest) > 0; rest = rest[2:] {
		switch {
		case rest[0] == "remove" && len(rest) == 1:
			return Server{}, nil
		case len(rest) == 1:
			return s, fmt.Errorf("%s: %q has no value", word, rest[0])
		case rest[0] == "name" && strings.Contains(word, "-") && strings.Trim(word, "0123456789-") == "":
			return s, fmt.Errorf("%s: several servers can't have one name", word)
		}
		if err := s.setKey(rest[0], rest[1]); err != nil {
			return s, fmt.Errorf("%s: %w", word, err)
		}
	}
	if other := service.named(s.Name); other >= 0 && other != slot {
		return s, fmt.Errorf("%s: server %d is already named %s", word, other, s.Name)
	}
	return s, nil
}

// slotsOf understands FIRST-LAST, or what slotOf does.
func (service *Service) slotsOf(word string) (first, last int, err error) {
	first, last, isRange, err := slotRange(word)
	if !isRange {
		first, err = service.slotOf(word)
		last = first
	}
	return first, last, err
}

// slotRange understands FIRST-LAST, and reports false for anything else.
func slotRange(word string) (first, last int, isRange bool, err error) {
	a, b, _ := strings.Cut(word, "-")
	first, err1 := strconv.Atoi(a)
	last, err2 := strconv.Atoi(b)
	if err1 != nil || err2 != nil {
		return 0, 0, false, nil
	}
	if first > last || last > maxSlot {
		return 0, 0, true, fmt.Errorf("%q is not a range of slots, want such as 0-9, up to %d", word, maxSlot)
	}
	return first, last, true, nil
}

// slotOf understands how a command speaks of a server: by its slot or by its
// name.
func (service *Service) slotOf(word string) (int, error) {
	if slot, err := strconv.Atoi(word); err == nil && slot >= 0 && slot <= maxSlot {
		return slot, nil
	}
	if slot := service.named(word); slot >= 0 {
		return slot, nil
	}
	if _, number := strconv.Atoi(word); isName(word) && number != nil {
		return 0, fmt.Errorf("there is no server named %s, want a slot, 0 to %d, or the name of one", word, maxSlot)
	}
	return 0, fmt.Errorf("%q is not the number of a slot, want 0 to %d", word, maxSlot)
}

// named finds the slot of the server of a name, or -1. Most servers have none,
// and a table may be long.
func (service *Service) named(name string) int {
	if name == "" {
		return -1
	}
	for slot := range service.Servers {
		if service.Servers[slot].Name == name {
			return slot
		}
	}
	return -1
}

// usedSlots are the slots of a word that have a server. It is an error if none
// has one.
func (service *Service) usedSlots(word string) ([]int, error) {
	first, last, err := service.slotsOf(word)
	if err != nil {
		return nil, err
	}
	var slots []int
	for slot := first; slot <= last && slot < len(service.Servers); slot++ {
		if service.Servers[slot].Used() {
			slots = append(slots, slot)
		}
	}
	if slots == nil {
		return nil, fmt.Errorf("there is no server %s", word)
	}
	return slots, nil
}

// setState is the verbs enable, drain and disable.
func setState(c *Service, args []string, state State) error {
	slots, err := c.usedSlots(args[0])
	for _, slot := range slots {
		s := c.server(slot)
		s.State = state
		c.setServer(slot, s)
	}
	return err
}

func setDrain(c *Service, _ bool, args []string) error {
	if len(args) > 1 {
		if args[1] != "within" || len(args) < 3 {
			return errors.New("want drain N, or drain N within TIME")
		}
		if _, err := ParseDuration(args[2]); err != nil {
			return err
		}
	}
	return setState(c, args, Draining)
}

// A then is the part of a setting that is for what runs.
type then int

const (
	nothing    then = iota
	blacklists      // servers for the time of the key blacklist
	drains          // connections of servers in the time that within says
)

// atOnce is the part of a command that is for what runs. It reports false where
// there is none.
func (cmd Command) atOnce() (Command, bool) {
	switch cmd.Verb.then {
	case blacklists:
		for i := 1; i+1 < len(cmd.Args); i += 2 {
			if cmd.Args[i] == "blacklist" {
				cmd.Args = []string{cmd.Args[0], "blacklist", cmd.Args[i+1]}
				return cmd, true
			}
		}
	case drains:
		return cmd, len(cmd.Args) > 1
	}
	return cmd, false
}

// An Effect is what a setting does to what runs, besides what the configuration
// says.
type Effect struct {
	Service string
	// Blacklist are slots of servers that are taken out of rotation for BlacklistTime,
	// or put back if that is 0.
	Blacklist     []int
	BlacklistTime time.Duration
	// Drain are slots of servers whose connections are closed within DrainTime.
	Drain     []int
	DrainTime time.Duration
	// Resolve asks DNS again for the names of the service's servers.
	Resolve bool
	// ReadCountries reads the GeoIP database again.
	ReadCountries bool
}

// Effect returns the effect of a setting in the configuration that it makes. It is
// an error to blacklist where there is no server.
func (cmd Command) Effect(c Config) (e Effect, err error) {
	e = Effect{Service: cmd.Service, ReadCountries: cmd.Verb.rereads}
	e.Resolve = cmd.Verb.then == blacklists && slices.Contains(cmd.Args, "address")
	part, ok := cmd.atOnce()
	s := c.Service(cmd.Service)
	if !ok || s == nil {
		return e, nil
	}
	slots, err := s.usedSlots(part.Args[0])
	if err != nil {
		return e, fmt.Errorf("server: %w, nothing to blacklist", err)
	}
	d, err := ParseDuration(part.Args[2])
	if cmd.Verb.then == drains {
		e.Drain, e.DrainTime = slots, d
	} else {
		e.Blacklist, e.BlacklistTime = slots, d
	}
	return e, err
}
