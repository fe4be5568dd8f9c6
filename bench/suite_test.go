//go:build linux

package main

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParseOptions(t *testing.T) {
	for _, bad := range []string{
		"-rounds 3", "-rounds 0", "-seconds 0", "-conns 5", "-conns 9001", "-moving 99", "extra", "-seconds x",
		"-loads L5", "-before x -planes a,b", "-loads L1,", "-plane x -planes y", "-planes a,a", "-planes a,", "-plane A", "-plane -x", "-plane a;b",
	} {
		if _, err := parseOptions(strings.Fields(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	o, err := parseOptions([]string{"-quick", "-pen", "x"})
	if err != nil || !o.quick || o.rounds != 1 || o.pen != "x" || o.fewer() != 1 {
		t.Errorf("got %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"-loads", "L1,GC", "-rounds", "8", "-planes", "loop,stream"})
	if err != nil || !slices.Equal(o.loads, []string{"L1", "GC"}) || !slices.Equal(o.planes, []string{"loop", "stream"}) || o.fewer() != 4 {
		t.Errorf("got %+v, %v", o, err)
	}
	if want := "-rounds 8 -seconds 2 -conns 4000 -moving 10000 -planes loop,stream -loads L1,GC"; o.String() != want {
		t.Errorf("options %q, want %q", o, want)
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		files uint64
		want  int
		ok    bool
	}{
		{1 << 62, 10000, true}, {20700, 10000, true}, {20699, 9500, true}, {20000, 9500, true}, {9000, 4000, true}, {8000, 3500, false}, {0, 0, false},
	} {
		o := options{conns: 4000, moving: 10000}
		if ok := o.fit(c.files); ok != c.ok || ok && o.moving != c.want {
			t.Errorf("%d descriptors: %d connections, %v; want %d, %v", c.files, o.moving, ok, c.want, c.ok)
		}
	}
}

func TestLoads(t *testing.T) {
	for _, c := range []struct{ wanted, want string }{
		{"", "L1/1 L1/64 L1/1000 L2 L3 up L3 down L4 L9 P2: L1/64 P2: L2 P2: L3 up P2: L3 down E full ECDSA P-256 E full RSA 2048 E resumed ECDSA P-256 E TLS up E TLS down E http E PROXY up E PROXY down"},
		{"L2,L9", "L2 L9"},
		{"L6", "L1/64"},
		{"GC", ""},
		{"P2", "P2: L1/64 P2: L2 P2: L3 up P2: L3 down"},
	} {
		var labels []string
		for _, l := range loads(options{rounds: 6, loads: list(c.wanted)}) {
			labels = append(labels, l.label)
		}
		if got := strings.Join(labels, " "); got != c.want {
			t.Errorf("-loads %s: %q, want %q", c.wanted, got, c.want)
		}
	}
}

func TestContenders(t *testing.T) {
	where := spot{dir: t.TempDir(), limit: 100, workers: 2, listen: 7000, backend: 7001}
	for _, c := range []struct {
		o    options
		want []string // name and command line of each of ours
	}{
		{options{pen: "pen"}, []string{ours, "pen -f -x 100 127.0.0.1:7000 127.0.0.1:7001"}},
		{options{pen: "pen", plane: "loop"}, []string{ours, "pen -f -x 100 -O plane loop 127.0.0.1:7000 127.0.0.1:7001"}},
		{options{pen: "pen", planes: []string{"loop", "stream"}}, []string{
			"Pen, loop plane", "pen -f -x 100 -O plane loop 127.0.0.1:7000 127.0.0.1:7001",
			"Pen, stream plane", "pen -f -x 100 -O plane stream 127.0.0.1:7000 127.0.0.1:7001",
		}},
		{options{pen: "pen", before: "old"}, []string{ours, "pen -f -x 100 127.0.0.1:7000 127.0.0.1:7001"}},
	} {
		var got []string
		for _, one := range contenders(c.o) {
			if one.command == nil {
				continue
			}
			args, err := one.command(where)
			if err != nil {
				t.Fatal(err)
			}
			if one.own {
				got = append(got, one.name, strings.Join(args, " "))
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.o, got, c.want)
		}
	}
	for file, want := range map[string]string{"haproxy-7000.conf": "nbthread 2\n", "nginx-7000.conf": "worker_processes 2;\n"} {
		text, err := os.ReadFile(filepath.Join(where.dir, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s has no %q: %v\n%s", file, want, err, text)
		}
	}
}

func TestSlowestRate(t *testing.T) {
	main := madeResult()
	main.load.label = "L1/64"
	other := madeResult()
	other.load.label = "L1/1"
	other.rows[0].samples = []sample{{values: []float64{1, 1, 1}}}
	if got := slowestRate([]result{other, main}); got != 450 {
		t.Errorf("slowest rate %v, want 450", got)
	}
	if got := slowestRate([]result{other}); !math.IsNaN(got) {
		t.Errorf("slowest rate %v without the main load, want NaN", got)
	}
}

func TestAgainstBest(t *testing.T) {
	r := madeResult()
	r.load.metrics[0].label, r.load.metrics[1].label = "rate", "cost"
	for m, want := range []string{
		"rate of " + ours + " is 1.500 (1.500 to 1.500) times that of the best other contender, " + splice,
		"cost of " + ours + " is 0.750 (0.750 to 0.750) times that of the best other contender, " + noSplice,
	} {
		if got := r.againstBest(m); !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got := (result{load: r.load, rows: r.rows[4:]}).againstBest(0); got != nil {
		t.Errorf("without others: %q", got)
	}
}

func TestNoteLate(t *testing.T) {
	r := result{load: load{name: "L6"}, rows: []row{
		{contender: contender{name: "a"}, samples: []sample{{values: []float64{0, 0, 0, 0, 2.5}}}},
		{contender: contender{name: "b"}, samples: []sample{{values: []float64{0, 0, 0, 0, 0.05}}}},
		{contender: contender{name: "c"}, failed: "silence"},
	}}
	var s suite
	s.noteLate(r)
	if len(s.notes) != 1 || !strings.HasSuffix(s.notes[0], ": a 2.50 %") {
		t.Errorf("notes %q", s.notes)
	}
}

const trace = `gc 7 @1.2s 0%: 0.01+0.5+0.02 ms clock, 0.01+0.1/0.2/0.3+0.02 ms cpu, 4->5->2 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 1 P
a line of the program
gc 8 @9.2s 0%: 0.01+0.5+0.02 ms clock, 0.01+0.1/0.2/0.3+0.02 ms cpu, 6->6->3 MB, 4 MB goal, 0 MB stacks, 0 MB globals, 1 P
gc 9 @130s 0%: 0.01+0.5+0.02 ms clock, 0.01+0.1/0.2/0.3+0.02 ms cpu, 4->4->2 MB, 6 MB goal, 0 MB stacks, 0 MB globals, 1 P (forced)
`

func TestParseTrace(t *testing.T) {
	if got, want := parseTrace(trace), (garbage{cycles: 3, forced: 1, allocated: 5}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := parseTrace("nothing\n"); got != (garbage{}) {
		t.Errorf("got %+v", got)
	}
	var b strings.Builder
	garbageSection(&b, []garbage{{contender: ours, seconds: 60, requests: 1e6, cycles: 1}})
	if want := "| " + ours + " | 60 | 1000000 | 1 | 0 | - |\n"; !strings.HasSuffix(b.String(), want) {
		t.Errorf("section %q, want its end %q", b.String(), want)
	}
}

func TestWriteReport(t *testing.T) {
	dir := t.TempDir()
	readme := "a\n" + beginMark + "\n" + endMark + "\n"
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte(readme), 0o644); err != nil {
		t.Fatal(err)
	}
	charts := []chart{{suffix: "cpu", names: []string{"x"}}}
	for _, c := range []struct {
		whole bool
		want  string
	}{{false, readme}, {true, "a\n" + beginMark + "\n\n![c](results/n-cpu.svg)\n" + endMark + "\n"}} {
		if err := writeReport(dir, "n", "![c](results/n-cpu.svg)", charts, c.whole); err != nil {
			t.Fatal(err)
		}
		for file, want := range map[string]string{"README.md": c.want, "results/n.md": "# Figures of n\n\n![c](n-cpu.svg)"} {
			got, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil || string(got) != want {
				t.Errorf("whole %v: %s is %q, %v; want %q", c.whole, file, got, err, want)
			}
		}
		if text, err := os.ReadFile(filepath.Join(dir, "results/n-cpu.svg")); err != nil || !strings.HasPrefix(string(text), "<svg") {
			t.Errorf("chart: %v", err)
		}
	}
}
