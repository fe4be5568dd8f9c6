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
	all, own := scopes()
	gone, come := differences(lines(all, before), lines(all, after))
	section("all of Pen", gone, come)
	gone, come = differences(lines(own, before), lines(own, after))
	section("first service", gone, come)
	became := map[string]string{}
	for now, was := range renamed {
		became[was] = now
	}
	for _, s := range before.Services {
		name := cmp.Or(became[s.Name], s.Name)
		now, ok := after.In(name)
		if !ok {
			fmt.Fprintf(&b, "service %s: ends\n", s.Name)
			continue
		}
		if name != s.Name {
			fmt.Fprintf(&b, "service %s: is now called %s\n", s.Name, name)
		}
		gone, come := differences(lines(own, Config{Service: s}), lines(own, now))
		section("service "+name, gone, come)
	}
	for _, s := range after.Services {
		if before.indexOf(s.Name) < 0 && renamed[s.Name] == "" {
			come := changed(own, Config{Service: s})
			section("service "+s.Name+", new", nil, come)
			if len(come) == 0 {
				fmt.Fprintf(&b, "service %s: new\n", s.Name)
			}
		}
	}
	return b.String()
}

// scopes are the names of the settings that are saved: those for all of Pen and
// those of a service.
func scopes() (all, own []string) {
	for _, name := range slices.Concat(saved, savedIfSet) {
		if find(name).global {
			all = append(all, name)
		} else {
			own = append(own, name)
		}
	}
	return all, own
}

// lines are settings as they are saved.
func lines(names []string, c Config) []string {
	var out []string
	for _, name := range names {
		out = append(out, find(name).save(c)...)
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
