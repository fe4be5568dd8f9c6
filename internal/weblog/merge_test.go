package weblog

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// web is a web server's line, at so many seconds after a certain time.
func web(at int64, request string) string {
	return fmt.Sprintf("web - - [%s] \"%s\" 200\n", time.Unix(base+at, 0).UTC().Format("02/Jan/2006:15:04:05 -0700"), request)
}

// pen is a line of Pen's log.
func pen(client string, at int64, server, request string) string {
	return fmt.Sprintf("%s %d %s %s\n", client, base+at, server, request)
}

const base = 1_000_000_000

func merge(t *testing.T, penlog string, o Options, logs ...string) (string, Report) {
	t.Helper()
	var sources []Source
	for i, log := range logs {
		sources = append(sources, Source{fmt.Sprintf("10.0.0.%d", i+1), fmt.Sprintf("log%d", i+1), strings.NewReader(log)})
	}
	var out strings.Builder
	report, err := Merge(&out, strings.NewReader(penlog), "pen.log", sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), report
}

// clients are the first words of lines.
func clients(lines string) string {
	var all []string
	for line := range strings.Lines(lines) {
		client, _, _ := strings.Cut(line, " ")
		all = append(all, client)
	}
	return strings.Join(all, " ")
}

func TestMerge(t *testing.T) {
	x := pen("c1", 0, "10.0.0.1", "GET /x")
	for _, tt := range []struct {
		name string
		pen  string
		opt  Options
		logs []string
		want string // clients
	}{
		{"found", x, Options{Jitter: 600}, []string{web(1, "GET /x")}, "c1"},
		{"nothing to find it in", "", Options{Jitter: 600}, []string{web(1, "GET /x")}, "10.0.0.1"},
		{"another server", x, Options{Jitter: 600}, []string{"", web(1, "GET /x")}, "10.0.0.2"},
		{"another request", x, Options{Jitter: 600}, []string{web(1, "GET /y")}, "10.0.0.1"},
		{"nearest", x + pen("c2", 10, "10.0.0.1", "GET /x"), Options{Jitter: 600}, []string{web(4, "GET /x") + web(6, "GET /x")}, "c1 c2"},
		{
			"equally near", x + pen("c2", 0, "10.0.0.1", "GET /x") + pen("c3", 10, "10.0.0.1", "GET /x"),
			Options{Jitter: 600},
			[]string{web(0, "GET /x") + web(5, "GET /x")},
			"c1 c1",
		},
		{"found again", x, Options{Jitter: 600}, []string{web(1, "GET /x") + web(1, "GET /x")}, "c1 c1"},
		{"jitter", x, Options{Jitter: 10}, []string{web(-11, "GET /x") + web(-10, "GET /x") + web(10, "GET /x") + web(11, "GET /x")}, "10.0.0.1 c1 c1 10.0.0.1"},
		{"no jitter", x, Options{}, []string{web(-1, "GET /x") + web(0, "GET /x") + web(1, "GET /x")}, "10.0.0.1 c1 10.0.0.1"},
		{"shift", x, Options{Jitter: 10, Shift: 3600}, []string{web(-3600, "GET /x") + web(0, "GET /x")}, "c1 10.0.0.1"},
		{"all", x, Options{Jitter: 10, All: true}, []string{web(99999, "GET /x") + web(0, "GET /x") + web(0, "GET /x")}, "c1 c1 c1"},
		{"late in Pen's log", pen("c9", 10, "10.0.0.1", "GET /") + x, Options{Jitter: 10}, []string{web(0, "GET /x")}, "c1"},
		{"late in the other", x + pen("c2", 10, "10.0.0.1", "GET /"), Options{Jitter: 10}, []string{web(10, "GET /") + web(0, "GET /x")}, "c2 c1"},
		{"a gap", x + pen("c2", 90000, "10.0.0.1", "GET /"), Options{Jitter: 10}, []string{web(0, "GET /x") + web(90000, "GET /") + web(90000, "GET /x")}, "c1 c2 10.0.0.1"},
		{"bad lines of Pen", "x\n\n" + x, Options{Jitter: 10}, []string{web(0, "GET /x")}, "c1"},
		{"order", "", Options{Jitter: 10}, []string{web(0, "a") + web(5, "a"), web(2, "a") + web(1, "a"), web(0, "a") + web(9, "a")}, "10.0.0.1 10.0.0.3 10.0.0.2 10.0.0.2 10.0.0.1 10.0.0.3"},
	} {
		out, _ := merge(t, tt.pen, tt.opt, tt.logs...)
		if got := clients(out); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Everything but the client and the zone of the time stays.
func TestMergeLines(t *testing.T) {
	out, _ := merge(t, pen("c1", 0, "10.0.0.1", `GET /"`), Options{Jitter: 600},
		`h   i  "u s" [09/Sep/2001:03:46:40 +0200]  "GET /\x22"   200  "\"" `+"\xff \r\n"+`h [8/Sep/2001:22:00:00 -0700] "" `)
	want := `c1   i  "u s" [09/Sep/2001:01:46:40 +0000]  "GET /\x22"   200  "\"" ` + "\xff \r\n" + `10.0.0.1 [09/Sep/2001:05:00:00 +0000] "" ` + "\n"
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestReport(t *testing.T) {
	long := strings.Repeat("x", MaxLine)
	var told []string
	o := Options{Jitter: 10, Debug: func(name string, n int, line []byte) { told = append(told, fmt.Sprintf("%s:%d %.3s", name, n, line)) }}
	logs := []string{"a\n" + web(0, "/1") + long + long + "\n" + web(0, "/2") + long, web(0, "/1") + web(50, "/1") + web(5, "/1")}
	for _, all := range []bool{false, true} {
		o.All, told = all, nil
		want := Report{
			Lines: 5, Unknown: 3, Late: 1,
			Dropped: []Dropped{{"pen.log", 1, 2}, {"log1", 3, 1}},
		}
		if all {
			want.Late = 0
		}
		_, got := merge(t, pen("c", 0, "10.0.0.1", "/1")+"bad\n"+pen("c", 0, "10.0.0.1", "/2"), o, logs...)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("all %v: %+v, want %+v", all, got, want)
		}
		if len(told) != 4 {
			t.Errorf("all %v: told of %q", all, told)
		}
	}
}

type broken struct{ io.ReadSeeker }

var errBroken = errors.New("broken")

func (broken) Read([]byte) (int, error)       { return 0, errBroken }
func (broken) Write([]byte) (int, error)      { return 0, errBroken }
func (broken) Seek(int64, int) (int64, error) { return 0, errBroken }

func TestMergeErrors(t *testing.T) {
	log := func() []Source { return []Source{{"s", "log", strings.NewReader(web(0, "/"))}} }
	for name, f := range map[string]func() error{
		"log": func() error {
			_, err := Merge(io.Discard, strings.NewReader(""), "pen", []Source{{"s", "log", broken{}}}, Options{})
			return err
		},
		"pen":   func() error { _, err := Merge(io.Discard, broken{}, "pen", log(), Options{}); return err },
		"seek":  func() error { _, err := Merge(io.Discard, broken{}, "pen", log(), Options{All: true}); return err },
		"write": func() error { _, err := Merge(broken{}, strings.NewReader(""), "pen", log(), Options{}); return err },
	} {
		if err := f(); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// More lines than one batch.
func TestAllInBatches(t *testing.T) {
	var penlog, log, want strings.Builder
	for i := range int64(2*batchLines + 10) {
		penlog.WriteString(pen(fmt.Sprint("c", i), i, "10.0.0.1", fmt.Sprint("/", i)))
		log.WriteString(web(i, fmt.Sprint("/", i)))
		fmt.Fprint(&want, "c", i, " ")
	}
	out, report := merge(t, "bad\n"+penlog.String(), Options{All: true}, log.String())
	if clients(out) != strings.TrimSpace(want.String()) || len(report.Dropped) != 1 || report.Dropped[0].Lines != 1 {
		t.Errorf("a line has not its client, or %+v", report)
	}
}

// The window finds what a look at the whole log finds, however the logs are
// jumbled within the jitter.
func TestWindowIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jitter := rapid.Int64Range(0, 20).Draw(t, "jitter")
		draw := func(name string) []int64 {
			steps := rapid.SliceOfN(rapid.Int64Range(0, 15), 0, 60).Draw(t, name)
			at, late := int64(0), rapid.Int64Range(0, jitter)
			for i, step := range steps {
				at += step
				steps[i] = at - late.Draw(t, "late")
			}
			return steps
		}
		var lines []penLine
		var penlog strings.Builder
		for i, at := range draw("pen") {
			l := penLine{key{"s", fmt.Sprint("/", rapid.IntRange(0, 2).Draw(t, "request"))}, fmt.Sprint("c", i), base + at}
			lines = append(lines, l)
			penlog.WriteString(pen(l.client, at, l.server, l.request))
		}
		w := newWindow(&penLog{newInput("pen", strings.NewReader(penlog.String()), Options{}), 0}, jitter)
		for _, at := range draw("web") {
			k := key{"s", fmt.Sprint("/", rapid.IntRange(0, 2).Draw(t, "request"))}
			if err := w.moveTo(base + at); err != nil {
				t.Fatal(err)
			}
			client, ok := w.find(k, base+at)
			if want := nearest(lines, k, base+at, jitter); client != want || ok != (want != "") {
				t.Fatalf("%v at %d: %q, want %q", k, at, client, want)
			}
		}
	})
}

// nearest looks at all lines: the nearest, of these the earliest in time, of
// these the first in the log.
func nearest(lines []penLine, k key, t, jitter int64) string {
	best := penLine{time: t + jitter + 1}
	for _, l := range lines {
		d, least := distance(l.time, t), distance(best.time, t)
		if l.key == k && (d < least || d == least && best.client != "" && l.time < best.time) {
			best = l
		}
	}
	return best.client
}

// A window holds no more than it may, and then what is nearest.
func TestWindowIsBounded(t *testing.T) {
	var penlog strings.Builder
	const n = 10_000
	for i := range int64(n) {
		penlog.WriteString(pen(fmt.Sprint("c", i), i/10, "s", fmt.Sprint("/", i)))
	}
	for _, most := range []int{1, 100, 1000} {
		w := newWindow(&penLog{newInput("pen", strings.NewReader(penlog.String()), Options{}), 0}, 600)
		w.most = most
		for i := range int64(n) {
			if err := w.moveTo(base + i/10); err != nil {
				t.Fatal(err)
			}
			held := 0
			for _, list := range w.byKey {
				held += len(list)
			}
			if len(w.queue) > most || held != len(w.queue) {
				t.Fatalf("%d lines, %d by key, want at most %d", len(w.queue), held, most)
			}
			client, ok := w.find(key{"s", fmt.Sprint("/", i)}, base+i/10)
			if most >= 100 && client != fmt.Sprint("c", i) {
				t.Fatalf("line %d with room for %d: %q, %v", i, most, client, ok)
			}
		}
		if !w.narrowed {
			t.Error("it does not say that it was full")
		}
	}
}

// What is outside of the window is not kept.
func TestWindowForgets(t *testing.T) {
	var penlog strings.Builder
	for i := range int64(100_000) {
		penlog.WriteString(pen("c", i, "s", "/"))
	}
	w := newWindow(&penLog{newInput("pen", strings.NewReader(penlog.String()), Options{}), 0}, 10)
	for i := range int64(100_000) {
		if err := w.moveTo(base + i); err != nil {
			t.Fatal(err)
		}
		if len(w.queue) > 42 {
			t.Fatalf("%d lines at %d", len(w.queue), i)
		}
	}
}
