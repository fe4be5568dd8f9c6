//go:build linux

package main

import (
	"slices"
	"testing"
)

func TestParseStat(t *testing.T) {
	s, err := parseStat("cpu  10 1 20 1000 5 2 3 7 0 0\ncpu0 5 1 10 500 5 1 2 3 0 0\ncpu1 5 0 10 500 0 1 1 4 0 0\nintr 1 2\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := (cpuTimes{busy: 36, steal: 7, total: 1048}); s.all != want {
		t.Errorf("all = %+v, want %+v", s.all, want)
	}
	cores := []cpuTimes{{busy: 19, steal: 3, total: 527}, {busy: 17, steal: 4, total: 521}}
	if !slices.Equal(s.cores, cores) {
		t.Errorf("cores = %+v, want %+v", s.cores, cores)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "cpu a b c d e f g h\n", "cpu 1 1 1 1 1 1 1 1\n"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat(%q) gave no error", bad)
		}
	}
}

func TestParseProcess(t *testing.T) {
	p, err := parseProcess("42 (odd) name) S 7 40 39 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 5 6 7\n")
	if err != nil {
		t.Fatal(err)
	}
	if want := (process{pid: 42, ppid: 7, group: 40, ticks: 127}); p != want {
		t.Errorf("got %+v, want %+v", p, want)
	}
	for _, bad := range []string{"", "42 (x) S 1", "x (x) S 7 40 39 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1"} {
		if _, err := parseProcess(bad); err == nil {
			t.Errorf("parseProcess(%q) gave no error", bad)
		}
	}
}

func TestForeignTicks(t *testing.T) {
	procs := []process{
		{pid: 1, ppid: 0, group: 0, ticks: 1},
		{pid: 2, ppid: 0, group: 0, ticks: 10},      // the kernel
		{pid: 9, ppid: 2, group: 0, ticks: 100},     // a kernel thread
		{pid: 50, ppid: 1, group: 40, ticks: 1000},  // ourselves
		{pid: 60, ppid: 50, group: 60, ticks: 1000}, // our child
		{pid: 61, ppid: 60, group: 60, ticks: 1000}, // its worker
		{pid: 70, ppid: 1, group: 70, ticks: 2},
	}
	if got := foreignTicks(procs, 50); got != 3 {
		t.Errorf("foreign ticks = %d, want 3", got)
	}
}

func TestParseSmaps(t *testing.T) {
	got, err := parseSmaps("55d0-7ffd ---p 00000000 00:00 0 [rollup]\nRss:  1000 kB\nPss:   321 kB\nPss_Dirty: 9 kB\n", "Pss:")
	if err != nil || got != 321*1024 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "Rss: 1 kB\n", "Pss: x kB\n", "Pss: 1\n"} {
		if _, err := parseSmaps(bad, "Pss:"); err == nil {
			t.Errorf("parseSmaps(%q, Pss) gave no error", bad)
		}
	}
}

func TestParseSlabs(t *testing.T) {
	const head = "slabinfo - version: 2.1\n# name <active_objs> <num_objs> <objsize>\n"
	got, err := parseSlabs(head + "tw_sock_TCP 500 500 256 16 1 : tunables\nTCP 10 13 2368 13 8 : tunables\nfilp 3 21 192 21 1 :\n")
	if err != nil || got != 10*2368+3*192 {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "TCP 1 1 1\n", head + "TCP 1 1\n", head + "TCP x 1 1\n", head + "TCP 1 1 -1\n"} {
		if _, err := parseSlabs(bad); err == nil {
			t.Errorf("parseSlabs(%q) gave no error", bad)
		}
	}
}
