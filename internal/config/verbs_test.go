package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// example is what follows a verb in its example.
func example(v Verb) string {
	if text := strings.TrimSpace(strings.TrimPrefix(v.Example, v.Name)); text != "" || !v.flag {
		return text
	}
	return "on"
}

// No verb ignores a word: with as many as it may have and one more, it is an
// error.
func TestNoWordIsIgnored(t *testing.T) {
	for _, v := range table {
		words := splitWords(v.Name + " " + example(v))
		if v.words.most == many {
			words = append(words, "nonsense")
		} else {
			for len(words) <= v.words.most+1 {
				words = append(words, "3")
			}
		}
		if v.Name == "service" { // a command may follow
			words[2] = "nonsense"
		}
		for _, line := range []string{strings.Join(words, " "), "no " + v.Name + strings.Repeat(" 3", min(v.noWords.most, 9)+1)} {
			if strings.HasPrefix(line, "listen") || strings.HasPrefix(line, "ssl_alpn") {
				continue // lists of any words
			}
			if _, err := ParseLine(line); err == nil {
				t.Errorf("%s: no error", line)
			}
		}
	}
}

// Each flag can be switched off and on in several ways, and nothing is set by
// asking for it.
func TestFlags(t *testing.T) {
	all := 0
	for _, v := range Verbs() {
		if !v.flag || v.Unused {
			continue
		}
		all++
		get := func(c Config) string {
			return cmp.Or(strings.Join(v.values(&c, &c.Services[0]), " "), v.none)
		}
		on := apply(t, Default(), v.Name)
		if get(Default()) != "off" || get(on) != "on" {
			t.Errorf("%s: is %s by default, and %s when it is set", v.Name, get(Default()), get(on))
		}
		for _, word := range []string{v.Name + " off", v.Name + " no", "no " + v.Name} {
			if c := apply(t, on, word); !reflect.DeepEqual(c, Default()) {
				t.Errorf("%s: is %s", word, get(c))
			}
		}
		for _, word := range []string{v.Name + " on", v.Name + " yes"} {
			if c := apply(t, Default(), word); !reflect.DeepEqual(c, on) {
				t.Errorf("%s: is %s", word, get(c))
			}
		}
		asked, err := ParseLine(v.Name)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := Default().With(asked); err != nil || !reflect.DeepEqual(c, Default()) != v.mode {
			t.Errorf("%s at the control socket: %v, is %s", v.Name, err, get(c))
		}
		if !v.mode && (asked.Kind() != Question || asked.Reply(Default()) != "off\n" || asked.Reply(on) != "on\n") {
			t.Errorf("%s at the control socket: %q", v.Name, asked.Reply(on))
		}
	}
	if all < 15 {
		t.Errorf("%d flags, want all", all)
	}
}

// What "no" takes back, "off" does as well.
func TestOff(t *testing.T) {
	for _, v := range Verbs() {
		if v.Kind != Setting || !v.Negatable || v.noWords.least > 0 || v.Unused {
			continue
		}
		on := apply(t, Default(), "service b", v.Name+" "+example(v))
		no, off := apply(t, on, "no "+v.Name), apply(t, on, v.Name+" off")
		if reflect.DeepEqual(on, no) || !reflect.DeepEqual(no, off) {
			t.Errorf("%s: off and no differ, or do nothing", v.Name)
		}
	}
}

// A range sets each key of all its servers.
func TestRanges(t *testing.T) {
	values := map[string]string{"send_proxy": "v2", "state": "drain", "tls": "on", "address": "b"}
	for _, key := range keyNames(serverKeys) {
		value := values[key]
		if value == "" {
			value = "1"
		}
		base := apply(t, Default(), "server 0 address a", "server 1 address a", "server 2 address a")
		line := fmt.Sprintf("server 1-2 %s %s", key, value)
		cmd, err := ParseLine(line)
		if key == "name" {
			if err == nil || !strings.Contains(err.Error(), "several servers can't have one name") {
				t.Errorf("%s: %v", line, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		c, err := base.With(cmd)
		if e, _ := cmd.Effect(c); e.Blacklist != nil {
			if key != "blacklist" || !slices.Equal(e.Blacklist, []int{1, 2}) {
				t.Errorf("%s: blacklists %d", line, e.Blacklist)
			}
			continue
		}
		if err != nil || c.Services[0].Servers[0] != base.Services[0].Servers[0] || c.Services[0].Servers[1] == base.Services[0].Servers[1] || c.Services[0].Servers[1] != c.Services[0].Servers[2] {
			t.Errorf("%s: %v, %+v", line, err, c.Services[0].Servers)
		}
	}
	c := apply(t, Default(), "server 0-3 address a", "server 1 remove", "disable 0-2")
	if c.Services[0].Servers[0].State != Disabled || c.Services[0].Servers[1].Used() || c.Services[0].Servers[2].State != Disabled || c.Services[0].Servers[3].State != Enabled {
		t.Errorf("%+v", c.Services[0].Servers)
	}
	if c = apply(t, c, "drain 2-9 within 3", "enable 0-1"); c.Services[0].Servers[0].State != Enabled || c.Services[0].Servers[2].State != Draining || c.Services[0].Servers[3].State != Draining {
		t.Errorf("%+v", c.Services[0].Servers)
	}
	if _, err := c.With(parsed(t, "drain 4-9")); err == nil || !strings.Contains(err.Error(), "there is no server 4-9") {
		t.Error(err)
	}
}

func parsed(t *testing.T, line string) Command {
	t.Helper()
	cmd, err := ParseLine(line)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return cmd
}

// A number that is absurdly large is an error, not a wish: each one either
// stands for something that costs nothing, or has a bound.
func TestHugeNumbers(t *testing.T) {
	for _, v := range Verbs() {
		if v.Kind != Setting || v.Args != "[N]" && v.Args != "[LIST]" {
			continue
		}
		if _, err := ParseLine(v.Name + " 99999999999"); err == nil || !strings.Contains(err.Error(), "want ") {
			t.Errorf("%s 99999999999: %v", v.Name, err)
		}
	}
	for line, bad := range map[string]bool{
		"clients_max 10000000": false, "clients_max 100000000": true, "idlers 10001": true, "server 65536 address a": true, "server 0-65536 address a": true,
	} {
		if _, err := ParseLine(line); (err != nil) != bad {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestNearest(t *testing.T) {
	for word, want := range map[string]string{
		"drian": "drain", "tiemout": "timeout", "stuborn": "stubborn", "Servers": "servers", "accept_porxy": "accept_proxy", "xyzzy": "", "frobnicate": "",
		strings.Repeat("a", 4000): "",
	} {
		if got := nearest(word, verbNames()); got != want {
			t.Errorf("%.20s: %q, want %q", word, got, want)
		}
	}
}
