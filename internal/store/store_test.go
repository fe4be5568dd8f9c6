package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"pen/internal/config"
	"pen/internal/engine"
)

// files are texts by name, in the place of a file system.
type files map[string]string

func (f files) open(name string) (io.ReadCloser, error) {
	text, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func newStore(t *testing.T, f files, args ...string) *Store {
	t.Helper()
	inv, errs := config.ParseArgs(args, f.open)
	if errs != nil {
		t.Fatal(errs)
	}
	return New(inv)
}

func commands(t *testing.T, lines ...string) (out []config.Command) {
	t.Helper()
	for _, line := range lines {
		cmd, err := config.ParseLine(line)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, cmd)
	}
	return out
}

// commit makes a change, if there is one.
func commit(t *testing.T, s *Store, d *Draft, err error) *Draft {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	s.Commit(d)
	return d
}

// set makes one change for each line.
func set(t *testing.T, s *Store, lines ...string) {
	t.Helper()
	for _, cmd := range commands(t, lines...) {
		d, err := s.Set(cmd)
		commit(t, s, d, err)
	}
}

func rollback(t *testing.T, s *Store) {
	t.Helper()
	d, err := s.Rollback()
	commit(t, s, d, err)
}

func timeout(s *Store) time.Duration { return s.now.config.Services[0].Timeout }

// So many changes can be taken back, the last ones, and no more.
func TestHistoryIsBounded(t *testing.T) {
	s := newStore(t, nil, "127.0.0.1:0", "127.0.0.1:1")
	for n := range maxHistory + 5 {
		set(t, s, fmt.Sprint("timeout ", n+10))
	}
	for range maxHistory {
		rollback(t, s)
	}
	if got := timeout(s); got != 14*time.Second {
		t.Errorf("the timeout is %v, want that of the fifth change", got)
	}
	if _, err := s.Rollback(); !errors.Is(err, engine.NotFound) || !strings.Contains(err.Error(), "no change to take back") {
		t.Error(err)
	}
}

// What can be taken back shares tables of servers with what is in use, so that it
// costs no more where they are long; and later changes do not change it.
func TestHistoryIsSmall(t *testing.T) {
	s := newStore(t, nil, "127.0.0.1:0", "127.0.0.1:1")
	set(t, s, "service web", "service web server 3 address 127.0.0.1 port 1")
	n := len(s.past)
	set(t, s, "timeout 7", "service web timeout 8")
	now := s.now.config
	for _, past := range s.past[n:] {
		if &past.config.Services[0].Servers[0] != &now.Services[0].Servers[0] || &past.config.Services[1].Servers[0] != &now.Services[1].Servers[0] {
			t.Error("a table of servers is there twice")
		}
	}
	set(t, s, "service web server 3 weight 9", "server 0 max 3")
	for range 2 {
		rollback(t, s)
	}
	if got := s.now.config; got.Services[0].Servers[0] != now.Services[0].Servers[0] || got.Services[1].Servers[3] != now.Services[1].Servers[3] {
		t.Errorf("taken back: %+v", got)
	}
}

// Long tables of servers are kept less often, and the last one always.
func TestHistoryOfLongTablesIsShort(t *testing.T) {
	table := func(n int) state {
		return state{config: config.Config{Services: []config.Service{{Servers: make([]config.Server, n)}}}}
	}
	long, short := table(maxSlots), table(1)
	for _, tt := range []struct {
		all  []state
		want int
	}{
		{nil, 0},
		{[]state{long}, 1},
		{[]state{table(2 * maxSlots)}, 1},
		{[]state{short, long}, 1},
		{[]state{long, long, long, long}, 4},
		{[]state{table(maxSlots), long, long}, 2},
		{[]state{table(maxSlots / 2), table(maxSlots / 2), table(maxSlots / 2)}, 2},
		{slices.Repeat([]state{short}, maxHistory+1), maxHistory},
	} {
		if got := recent(tt.all); len(got) != tt.want {
			t.Errorf("%d of %d are kept, want %d", len(got), len(tt.all), tt.want)
		}
	}
}

// A change that was drafted and not made leaves nothing behind.
func TestDraftChangesNothing(t *testing.T) {
	f := files{"pen.conf": "timeout 3\n"}
	s := newStore(t, f, "-F", "pen.conf", "127.0.0.1:0", "127.0.0.1:1")
	set(t, s, "timeout 4")
	f["pen.conf"] = "timeout 5\n"
	f["more"] = "timeout 6\n"
	for what, draft := range map[string]func() (*Draft, error){
		"set":      func() (*Draft, error) { return s.Set(commands(t, "timeout 7", "server 0 weight 9")...) },
		"reload":   func() (*Draft, error) { return s.Reload(f.open) },
		"include":  func() (*Draft, error) { return s.Include(config.DefaultService, "more", f.open) },
		"plan":     func() (*Draft, error) { return s.Plan("more", f.open) },
		"rollback": s.Rollback,
	} {
		d, err := draft()
		if err != nil {
			t.Fatal(what, err)
		}
		if d.Config.Services[0].Timeout == 4*time.Second || timeout(s) != 4*time.Second || s.Changes() != 1 {
			t.Errorf("%s: drafted %v, in use %v, %d changes", what, d.Config.Services[0].Timeout, timeout(s), s.Changes())
		}
	}
}

// A reload runs only the actions that the file did not have before, and reports
// what a running Pen can't change.
func TestReloadRunsNewActions(t *testing.T) {
	f := files{"pen.conf": "exit\n"}
	s := newStore(t, f, "-F", "pen.conf", "127.0.0.1:0", "127.0.0.1:1")
	f["pen.conf"] = "exit\nserver 0 blacklist 7\npidfile /p\ntimeout 9\n"
	d, err := s.Reload(f.open)
	commit(t, s, d, err)
	if len(d.Actions) != 1 || d.Actions[0].Verb.Name != "server" || !d.StartOnly || d.Config.PidFile != "" || timeout(s) != 9*time.Second {
		t.Errorf("actions %v, start only %v, pidfile %q, timeout %v", d.Actions, d.StartOnly, d.Config.PidFile, timeout(s))
	}
	d, err = s.Reload(f.open)
	commit(t, s, d, err)
	if len(d.Actions) != 0 || s.Changes() != 1 {
		t.Errorf("the same file again: actions %v, %d changes", d.Actions, s.Changes())
	}
}
