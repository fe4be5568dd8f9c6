package check

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestMachine(t *testing.T) {
	for _, tt := range []struct {
		start      State
		rise, fall int
		results    string // + and -
		want       string // the state after each
	}{
		{Up, 2, 3, "+---+-+++--", "UUUDDDDUUUU"},
		{Up, 2, 3, "--+--+--", "UUUUUUUU"},
		{Down, 2, 3, "-+-++---", "DDDDUUUD"},
		{Unknown, 2, 3, "+--+---", "UUUUUUD"},
		{Unknown, 2, 3, "-+--++", "DDDDDU"},
		{Up, 1, 1, "-+-", "DUD"},
		{Unknown, 1, 1, "-+-", "DUD"},
		{Up, 1, 5, "----+-----+", "UUUUUUUUUDU"},
	} {
		m := NewMachine(Spec{Start: tt.start, Rise: tt.rise, Fall: tt.fall})
		got := ""
		for _, r := range tt.results {
			before := m.State()
			if changed := m.Add(r == '+'); changed != (m.State() != before) {
				t.Errorf("%+v: after %s: says that it changed: %t", tt, got, changed)
			}
			got += strings.ToUpper(m.State().String()[:1])
		}
		if got != tt.want {
			t.Errorf("start %v, rise %d, fall %d, %s: %s, want %s", tt.start, tt.rise, tt.fall, tt.results, got, tt.want)
		}
	}
}

// A state is one that was started with, or is spoken for by as many of the last
// results before the change as it needs.
func TestMachineModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{
			Start: rapid.SampledFrom([]State{Unknown, Up, Down}).Draw(t, "start"),
			Rise:  rapid.IntRange(1, 4).Draw(t, "rise"), Fall: rapid.IntRange(1, 4).Draw(t, "fall"),
		}
		m, state := NewMachine(s), s.Start
		var all []bool
		for range rapid.IntRange(1, 60).Draw(t, "n") {
			all = append(all, rapid.Bool().Draw(t, "passed"))
			passed := all[len(all)-1]
			m.Add(passed)
			switch {
			case state == Unknown && passed, state == Down && last(all, true) >= s.Rise:
				state = Up
			case state == Unknown && !passed, state == Up && last(all, false) >= s.Fall:
				state = Down
			}
			if m.State() != state {
				t.Fatalf("after %v: %v, want %v", all, m.State(), state)
			}
		}
	})
}

// last is how many of the last results are such.
func last(all []bool, passed bool) (n int) {
	for i := len(all) - 1; i >= 0 && all[i] == passed; i-- {
		n++
	}
	return n
}

func TestReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "",
		" status 503\r\n":         "status 503",
		"\x00\x01a\x1b[31mb\n c":  "a.[31mb. c",
		"\xff\xfe":                "..",
		"überlastet":              "überlastet",
		strings.Repeat("x", 120):  strings.Repeat("x", 120),
		strings.Repeat("x", 121):  strings.Repeat("x", 117) + "...",
		strings.Repeat("ü", 1000): strings.Repeat("ü", 58) + "...",
	} {
		if got := Reason(text); got != want {
			t.Errorf("%.20q: %q, want %q", text, got, want)
		}
	}
}

func TestParseAgent(t *testing.T) {
	none := Report{Weight: -1, MaxConn: -1}
	with := func(f func(*Report)) Report {
		r := none
		f(&r)
		return r
	}
	for line, want := range map[string]Report{
		"75%\n":        with(func(r *Report) { r.Weight = 75 }),
		"0%":           with(func(r *Report) { r.Weight = 0 }),
		"up\r\n":       with(func(r *Report) { r.State = Up }),
		"Down":         with(func(r *Report) { r.State = Down }),
		"fail#no disk": with(func(r *Report) { r.State, r.Description = Down, "no disk" }),
		"stopped # for the # night\n": with(func(r *Report) {
			r.State, r.Description = Down, "for the # night"
		}),
		"drain":                with(func(r *Report) { r.Mode = Drain }),
		"maint, wow":           with(func(r *Report) { r.Mode = Maint }),
		"maxconn:30":           with(func(r *Report) { r.MaxConn = 30 }),
		"up down up":           with(func(r *Report) { r.State = Up }),
		"ready,up\t50%,\t\t, ": with(func(r *Report) { r.State, r.Mode, r.Weight = Up, Ready, 50 }),
		"hello maxconn:0 up 7": with(func(r *Report) { r.State, r.MaxConn = Up, 0 }),
	} {
		if got, err := ParseAgent(line); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", line, got, err, want)
		}
	}
	for line, want := range map[string]string{
		"":                                "nothing in the agent's line is known",
		"# all is well":                   "nothing in the agent's line is known",
		"hello":                           "nothing in the agent's line is known",
		"%":                               `weight "", want a number from 0 to 1000`,
		"up 1001%":                        `weight "1001"`,
		"-5%":                             `weight "-5"`,
		"+5%":                             `weight "+5"`,
		"99999999999999999999%":           "weight",
		"maxconn:":                        `maxconn "", want`,
		"maxconn:2147483648":              "maxconn",
		"up " + strings.Repeat("x", 1024): "more than 1024 bytes",
	} {
		if got, err := ParseAgent(line); err == nil || !strings.Contains(err.Error(), want) || got != none {
			t.Errorf("%.40q: %+v, %v, want %q", line, got, err, want)
		}
	}
}

// What is understood can be written and understood again; what is shown is
// printable and bounded.
func FuzzParseAgent(f *testing.F) {
	for _, line := range []string{"75%", "up ready,50%", "down#no\tdisk", "maxconn:7 drain", "\xff%", "maint\r\n"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, err := ParseAgent(line)
		if err != nil {
			return
		}
		if again, err := ParseAgent(r.String()); err != nil || again != r {
			t.Fatalf("%q: %+v, %v, from %+v", r, again, err, r)
		}
		if d := r.Description; len(d) > maxReason || !utf8.ValidString(d) || strings.ContainsFunc(d, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Fatalf("description %q", d)
		}
	})
}
