package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// before is what the examples of commands need to be there.
var before = []string{"server 0 address 10.0.0.7 name web1", "service web"}

// Each row of the table says everything about its verb, and what it says is true:
// its example is a command that does something, its default is what applies where
// nothing is said, and what it refers to is there.
func TestRows(t *testing.T) {
	for i := range table {
		v := &table[i]
		if i > 0 && table[i-1].Name >= v.Name {
			t.Errorf("%s is there twice", v.Name)
		}
		if !slices.Contains(Groups(), v.Group) {
			t.Errorf("%s: is in no group", v.Name)
		}
		if n := utf8.RuneCountInString(v.Help); n == 0 || n > 80 || strings.HasSuffix(v.Help, ".") {
			t.Errorf("%s: help of %d characters, want a line of at most 80 without a full stop: %s", v.Name, n, v.Help)
		}
		if v.More != "" && !strings.HasSuffix(v.More, ".") {
			t.Errorf("%s: want sentences: %s", v.Name, v.More)
		}
		for _, name := range splitWords(v.See) {
			if name == v.Name || find(name) == nil {
				t.Errorf("%s: see %s, which is no other verb", v.Name, name)
			}
		}
		if (v.When != AtRunTime) && (v.Kind != Setting || v.values == nil) {
			t.Errorf("%s: nothing keeps its value %v", v.Name, v.When)
		}
		checkExample(t, v)
		checkDefault(t, v)
	}
}

// checkExample applies the example of a verb, and reads what is saved then.
func checkExample(t *testing.T, v *Verb) {
	t.Helper()
	cmd, err := ParseLine(v.Example)
	if err != nil || cmd.Verb == nil {
		t.Errorf("%s: the example %q: %v", v.Name, v.Example, err)
		return
	}
	if cmd.Verb != v && v.Scope != OfServices {
		t.Errorf("%s: the example %q is another command", v.Name, v.Example)
	}
	base := apply(t, Default(), before...)
	base = apply(t, base, map[string]string{"enable": "disable 0", "server": "server 0 weight 9"}[v.Name])
	next, err := base.With(cmd)
	if err != nil {
		t.Errorf("%s: the example %q: %v", v.Name, v.Example, err)
		return
	}
	isSetting := v.Kind == Setting && !v.Unused && !v.notBuilt
	if changes := !reflect.DeepEqual(next, base); changes != isSetting {
		t.Errorf("%s: the example %q changes something: %t", v.Name, v.Example, changes)
	}
	again, run, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{"f": Print(next)}))
	if err != nil || run != nil || !reflect.DeepEqual(again, next) {
		t.Errorf("%s: what the example %q makes is not saved: %v\n%s", v.Name, v.Example, err, Print(next))
	}
}

// checkDefault sets a setting to its default, which is as if nothing was said.
func checkDefault(t *testing.T, v *Verb) {
	t.Helper()
	value := v.Default()
	if value == "" || v.notBuilt {
		return
	}
	example, err := Default().With(parsed(t, v.Example))
	if err != nil {
		t.Errorf("%s: %v", v.Name, err)
		return
	}
	for _, c := range []Config{Default(), example} {
		if got := apply(t, c, v.Name+" "+value); Print(got) != Print(Default()) {
			t.Errorf("%s: with its default %s\n%s", v.Name, value, Print(got))
		}
	}
}

// How many words may follow a verb is what its row says of them.
func TestArity(t *testing.T) {
	for args, want := range map[string]arity{
		"":                                  {0, 0},
		"FILE":                              {1, 1},
		"[TIME]":                            {0, 1},
		"[[HOST:]PORT|PATH]":                {0, 1},
		"[IPV4 [IPV6]]":                     {0, 2},
		"N|N-M [within TIME]":               {1, 3},
		"N|N-M KEY VALUE... | N remove":     {2, many},
		"[sni PATTERN NAME | default NAME]": {0, 3},
		"[[failures N] [resets N]]":         {0, 4},
		"[on|off [name NAME] [noverify]]":   {0, 4},
		"LIST [insert PLACE|replace] permit|deny ADDRESS[/LENGTH]": {3, 5},
	} {
		if got := arityOf(args); got != want {
			t.Errorf("%s: %v, want %v", args, got, want)
		}
	}
}

// What can't be changed while Pen runs keeps its value, and only that.
func TestKeepFixed(t *testing.T) {
	running := apply(t, Default(), "listen 80", "control_token view f", "service web", "service idle", "service web listen 81")
	for i := range table {
		v := &table[i]
		if v.Kind != Setting || v.values == nil && v.save == nil || v.notBuilt || v.Scope == OfServices {
			continue
		}
		lines := []string{v.Example}
		if v.Scope == OfService {
			lines = append(lines, "service web "+v.Example, "service idle "+v.Example)
		}
		for i, line := range lines {
			next, err := running.With(parsed(t, line))
			if err != nil {
				continue // it speaks of a server that is not there
			}
			next = next.Clone()
			fixed := v.When == AtStart || v.When == BeforeUse && i < 2
			if kept := next.KeepFixed(running); kept != fixed || fixed && !reflect.DeepEqual(next, running) {
				t.Errorf("%s: kept %t, want %t\n%s", line, kept, fixed, Print(next))
			}
		}
	}
	web, other := *running.Service("web"), *running.Service("web")
	other.Listen, other.Timeout = "82", 0
	if !web.Replaces(&other) {
		t.Error("a service with another time-out is another one")
	}
	if other.UDP = true; web.Replaces(&other) {
		t.Error("a service of datagrams replaces one of connections")
	}
}

// A group has verbs, and they are in one group only.
func TestGroups(t *testing.T) {
	n := 0
	for _, g := range groups() {
		if len(g.verbs) == 0 {
			t.Errorf("%s: has no verbs", g.title)
		}
		n += len(g.verbs)
	}
	if n != len(table) {
		t.Errorf("%d verbs in groups, %d in the table", n, len(table))
	}
}

// One table of keys drives the server command: each key is set, written, and told
// in errors and manuals.
func TestServerKeys(t *testing.T) {
	values := map[string]string{"address": "b", "send_proxy": "v2", "state": "drain", "tls": "on", "blacklist": "9", "tls_name": "n", "name": "n1"}
	for _, k := range ServerKeys() {
		if k.Args == "" || k.Help == "" || len(k.Help) > 80 {
			t.Errorf("%s: args %q, help %q", k.Name, k.Args, k.Help)
		}
		value := values[k.Name]
		if value == "" {
			value = "3"
		}
		c := apply(t, Default(), "server 0 address a", "server 0 "+k.Name+" "+value)
		if saved := strings.Contains(Print(c), " "+k.Name+" "+value); saved == (k.Name == "blacklist") {
			t.Errorf("%s %s: saved %t in\n%s", k.Name, value, saved, Print(c))
		}
		if _, err := ParseLine("server 0 colour red"); !strings.Contains(err.Error(), k.Name) {
			t.Errorf("%s is not in %v", k.Name, err)
		}
	}
}
