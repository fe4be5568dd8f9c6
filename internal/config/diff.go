package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Change is what differs between two Configs in one service, or in all of Pen.
type Change struct {
	Service string // "" for all of Pen
	Was     string // the name that the service had before, if it had another one
	// New and Gone report a service that only one of the Configs has.
	New, Gone bool
	// Removed and Added are settings, as they are saved.
	Removed, Added []string
}

// Changes are all that differs.
type Changes []Change

// Diff returns what a change from one Config to another does. renamed has the names
// that services of after had before, if they had others.
func Diff(before, after Config, renamed map[string]string) (all Changes) {
	add := func(c Change) {
		if c.New || c.Gone || c.Was != "" || len(c.Removed)+len(c.Added) > 0 {
			all = append(all, c)
		}
	}
	var pen Change
	pen.Removed, pen.Added = differences(lines(OfPen, before, nil), lines(OfPen, after, nil))
	add(pen)
	became := map[string]string{}
	for now, was := range renamed {
		became[was] = now
	}
	for i := range before.Services {
		s := &before.Services[i]
		c := Change{Service: cmp.Or(became[s.Name], s.Name)}
		now := after.Service(c.Service)
		if now == nil {
			add(Change{Service: s.Name, Gone: true})
			continue
		}
		if c.Service != s.Name {
			c.Was = s.Name
		}
		c.Removed, c.Added = differences(lines(OfService, before, s), lines(OfService, after, now))
		add(c)
	}
	for i := range after.Services {
		s := &after.Services[i]
		if before.Service(s.Name) == nil && renamed[s.Name] == "" {
			add(Change{Service: s.Name, New: true, Added: s.lines(&after)})
		}
	}
	return all
}

// String returns a line for each setting, "- LINE" for one that was removed and
// "+ LINE" for one that was added, after the service that it is of.
func (all Changes) String() string {
	var b strings.Builder
	for _, c := range all {
		switch {
		case c.Gone:
			fmt.Fprintf(&b, "service %s: ends\n", c.Service)
		case c.New && len(c.Added) == 0:
			fmt.Fprintf(&b, "service %s: new\n", c.Service)
		case c.New:
			fmt.Fprintf(&b, "service %s, new:\n", c.Service)
		case c.Was != "":
			fmt.Fprintf(&b, "service %s: is now called %s\n", c.Was, c.Service)
		}
		if !c.New && len(c.Removed)+len(c.Added) > 0 {
			fmt.Fprintf(&b, "%s:\n", title(c.Service))
		}
		for _, line := range c.Removed {
			fmt.Fprintf(&b, "  - %s\n", line)
		}
		for _, line := range c.Added {
			fmt.Fprintf(&b, "  + %s\n", line)
		}
	}
	return b.String()
}

// title is what a service is called in a list of changes.
func title(service string) string {
	switch service {
	case "":
		return "all of Pen"
	case DefaultService:
		return "first service"
	}
	return "service " + service
}

// lines are the settings of a scope as they are saved.
func lines(scope Scope, c Config, s *Service) []string {
	var out []string
	for _, v := range savedVerbs {
		if v.Scope == scope {
			out = append(out, v.lines(&c, s)...)
		}
	}
	return out
}

// differences are the lines that only one side has.
func differences(before, after []string) (gone, come []string) {
	return missing(before, after), missing(after, before)
}

// missing are the lines that others do not have, or not as often.
func missing(lines, others []string) []string {
	n := map[string]int{}
	for _, line := range others {
		n[line]++
	}
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		n[line]--
		return n[line] >= 0
	})
}
