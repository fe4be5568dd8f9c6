package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A file's sections, its includes, and what stands outside of sections.
func TestSections(t *testing.T) {
	got, run, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{
		"f": strings.Join([]string{
			"listen 80 443", "server 0 address a name first",
			"service web", "listen 81", "server 0 address b", "include more", "timeout 7", "server first blacklist 9",
			"service dns", "protocol udp", "table shared",
			"service web stubborn",
			"acl 1 permit ::1",
			"tracking 3",
		}, "\n"),
		"more": "hash\nservice other\nlisten 99\nservice web\nserver 0 name first",
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := apply(
		t, Default(), "listen 80 443", "server 0 address a name first", "acl 1 permit ::1",
		"service web", "service web listen 81", "service web server 0 address b name first", "service web hash", "service web timeout 7", "service web stubborn",
		"service other", "service other listen 99",
		"service dns", "service dns udp", "service dns table shared", "service dns tracking 3",
	)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", Print(got), Print(want))
	}
	if len(run) != 1 || run[0].Service != "web" {
		t.Fatalf("to be run: %+v", run)
	}
	if e, err := run[0].Effect(got); !slices.Equal(e.Blacklist, []int{0}) || e.BlacklistTime != 9*time.Second || e.Service != "web" || err != nil {
		t.Errorf("does %+v, %v", e, err)
	}
}

// What is said to one service leaves the others alone, and so does an error.
func TestCommandsOfOneService(t *testing.T) {
	base := apply(t, Default(), "timeout 9", "service a", "service b", "service b server 3 address x name web1")
	for _, tt := range []struct{ line, want string }{
		{"service c hash", "there is no service c; there are: a b"},
		{"service a drain web1", "there is no server named web1"},
		{"service a enable 3", "there is no server 3"},
		{"service b server 4 name web1", "server 3 is already named web1"},
		{"no service c", "there is no service c"},
	} {
		cmd, err := ParseLine(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		next, err := base.With(cmd)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.line, err, tt.want)
		}
		if !reflect.DeepEqual(next, base) {
			t.Errorf("%s: changed something", tt.line)
		}
	}
	next := apply(t, base, "service b drain web1", "service b timeout 4", "no service a")
	if b := next.Services[1]; b.Name != "b" || b.Servers[3].State != Draining || b.Timeout != 4*time.Second || next.Services[0].Timeout != 9*time.Second || len(next.Services) != 2 {
		t.Errorf("%+v", next)
	}
	if base.Services[2].Servers[3].State != Enabled {
		t.Error("the old Config was changed")
	}
}

func TestMergeServices(t *testing.T) {
	lines := func(l ...string) Config { return apply(t, Default(), l...) }
	before := lines("service a", "service a timeout 1", "service gone", "service ended")
	after := lines("service a", "service a timeout 2", "service ended", "service new", "service new listen 7")
	running := lines("service a", "service a timeout 1", "service a hash", "service gone", "service made")
	want := lines("service a", "service a timeout 2", "service a hash", "service made", "service new", "service new listen 7")
	if got := Merge(before, after, running); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", Print(got), Print(want))
	}
}

// The first service has a name as well, by which commands can speak of it.
func TestDefaultService(t *testing.T) {
	want := apply(t, Default(), "timeout 7", "server 0 address a", "service web", "service web timeout 8")
	got := apply(t, Default(), "service default timeout 7", "service default", "service default server 0 address a", "service web", "service web timeout 8")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", Print(got), Print(want))
	}
	file, _, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{
		"f": "service web\ntimeout 8\nservice default\ntimeout 7\nservice web\nservice default server 0 address a",
	}))
	if err != nil || !reflect.DeepEqual(file, want) {
		t.Errorf("a file: %v\n%s", err, Print(file))
	}
	if _, err := ParseLine("no service default"); err == nil || !strings.Contains(err.Error(), "can't be ended") {
		t.Errorf("to end it: %v", err)
	}
	for line, service := range map[string]string{"timeout": "default", "service default timeout": "default", "service web timeout": "web", "pid": "", "log": ""} {
		if cmd, err := ParseLine(line); err != nil || cmd.Service != service {
			t.Errorf("%s: is for %q, %v", line, cmd.Service, err)
		}
	}
}
