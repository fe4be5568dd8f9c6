package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Diff tells what a change from one Config to another does, a line for each
// setting: "- LINE" for one that goes and "+ LINE" for one that comes, after the
// object that they belong to. It is empty where nothing changes. renamed has the
// names that services of after had before, if they had others.
func Diff(before, after Config, renamed map[string]string) string {
	var b strings.Builder
	section := func(title string, gone, come []string) {
		if len(gone)+len(come) == 0 {
			return
		}
		fmt.Fprintf(&b, "%s:\n", title)
		for _, line := range gone {
			fmt.Fprintf(&b, "  - %s\n", line)
		}
		for _, line := range come {
			fmt.Fprintf(&b, "  + %s\n", line)
		}
	}
	gone, come := differences(lines(OfPen, before, nil), lines(OfPen, after, nil))
	section("all of Pen", gone, come)
	became := map[string]string{}
	for now, was := range renamed {
		became[was] = now
	}
	for i := range before.Services {
		s := &before.Services[i]
		name := cmp.Or(became[s.Name], s.Name)
		now := after.Service(name)
		if now == nil {
			fmt.Fprintf(&b, "service %s: ends\n", s.Name)
			continue
		}
		if name != s.Name {
			fmt.Fprintf(&b, "service %s: is now called %s\n", s.Name, name)
		}
		gone, come := differences(lines(OfService, before, s), lines(OfService, after, now))
		section(title(name), gone, come)
	}
	for i := range after.Services {
		s := &after.Services[i]
		if before.Service(s.Name) == nil && renamed[s.Name] == "" {
			come := s.lines(&after)
			section("service "+s.Name+", new", nil, come)
			if len(come) == 0 {
				fmt.Fprintf(&b, "service %s: new\n", s.Name)
			}
		}
	}
	return b.String()
}

// title is what a service is called in a list of changes.
func title(service string) string {
	if service == DefaultService {
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
