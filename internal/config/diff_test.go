package config

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	before := apply(t, Default(), "acl 1 permit ::1", "acl 1 permit ::1", "server 0 address a", "server 1 address b", "service web", "service gone", "service web timeout 3")
	after := apply(t, before, "acl 1 permit ::2", "server 0 weight 4", "server 1 remove", "service web timeout 5", "service web no hash", "no service gone",
		"service new", "service new listen 80 81", "debug 1")
	want := strings.Join([]string{
		"all of Pen:",
		"  - debug 0",
		"  + acl 1 permit ::2/128",
		"  + debug 1",
		"first service:",
		"  - server 0 acl 0 address a max 0 hard 0",
		"  - server 1 acl 0 address b max 0 hard 0",
		"  + server 0 acl 0 address a max 0 hard 0 weight 4",
		"service web:",
		"  - timeout 3",
		"  + timeout 5",
		"service gone: ends",
		"service new, new:",
		"  + listen 80 81",
		"",
	}, "\n")
	if got := Diff(before, after, nil).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Diff(before, before, nil).String(); got != "" {
		t.Errorf("nothing was changed: %s", got)
	}
	fewer := apply(t, Default(), "acl 1 permit ::1", "server 0 address a", "server 1 address b", "service web", "service gone", "service web timeout 3")
	if got := Diff(before, fewer, nil).String(); got != "all of Pen:\n  - acl 1 permit ::1/128\n" {
		t.Errorf("one of two equal lines: %s", got)
	}
}

// A service that goes on by another name neither ends nor is new.
func TestDiffOfRenames(t *testing.T) {
	before := apply(t, Default(), "service x", "service x timeout 3", "service gone")
	after := apply(t, Default(), "service y", "service y timeout 4", "service new")
	want := "service x: is now called y\nservice y:\n  - timeout 3\n  + timeout 4\nservice gone: ends\nservice new: new\n"
	if got := Diff(before, after, map[string]string{"y": "x"}).String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
