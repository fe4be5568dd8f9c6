//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc (USER_HZ is 100 on every Linux that
// Go runs on).
const tick = 10 * time.Millisecond

// cpuTimes are the ticks of the machine or of one core since boot (proc(5),
// /proc/stat). busy leaves out idle, iowait and steal.
type cpuTimes struct{ busy, steal, total uint64 }

func (c cpuTimes) sub(o cpuTimes) cpuTimes {
	return cpuTimes{c.busy - o.busy, c.steal - o.steal, c.total - o.total}
}

// snapshot is what the machine had done at one moment.
type snapshot struct {
	all     cpuTimes
	cores   []cpuTimes
	foreign uint64 // ticks of processes that are not the benchmark's
}

// takeSnapshot reads /proc.
func takeSnapshot() (snapshot, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return snapshot{}, err
	}
	s, err := parseStat(string(text))
	if err != nil {
		return s, err
	}
	procs, err := processes()
	if err != nil {
		return s, err
	}
	s.foreign = foreignTicks(procs, os.Getpid())
	return s, nil
}

// parseStat reads the text of /proc/stat.
func parseStat(text string) (snapshot, error) {
	var s snapshot
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || !strings.HasPrefix(f[0], "cpu") {
			break
		}
		if len(f) < 9 {
			return s, fmt.Errorf("/proc/stat: %q has %d fields, 9 are needed", f[0], len(f))
		}
		var t cpuTimes
		for i, field := range f[1:9] {
			n, err := strconv.ParseUint(field, 10, 64)
			if err != nil {
				return s, fmt.Errorf("/proc/stat: %w", err)
			}
			t.total += n
			switch i {
			case 3, 4: // idle, iowait
			case 7:
				t.steal = n
			default:
				t.busy += n
			}
		}
		if f[0] == "cpu" {
			s.all = t
		} else {
			s.cores = append(s.cores, t)
		}
	}
	if len(s.cores) == 0 {
		return s, errors.New("/proc/stat: no line of a core found")
	}
	return s, nil
}

// process is one line of /proc/PID/stat; ticks includes reaped children.
type process struct {
	pid, ppid, group int
	ticks            uint64
}

// processes lists the machine's processes. Those that end meanwhile are left out.
func processes() ([]process, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var list []process
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		p, err := parseProcess(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, p)
	}
	return list, nil
}

// parseProcess reads the text of /proc/PID/stat. The name in parentheses may
// hold anything, so fields are counted from the last parenthesis.
func parseProcess(text string) (process, error) {
	end := strings.LastIndexByte(text, ')')
	head, _, _ := strings.Cut(text, " ")
	fields := strings.Fields(text[end+1:])
	if end < 0 || len(fields) < 15 {
		return process{}, fmt.Errorf("%q is not a process line", text)
	}
	var p process
	var t [4]uint64
	into := []any{&p.pid, &p.ppid, &p.group, &t[0], &t[1], &t[2], &t[3]}
	numbers := append([]string{head}, fields[1], fields[2]) // pid, ppid, pgrp
	numbers = append(numbers, fields[11:15]...)             // utime stime cutime cstime
	if _, err := fmt.Sscan(strings.Join(numbers, " "), into...); err != nil {
		return process{}, fmt.Errorf("process line: %w", err)
	}
	p.ticks = t[0] + t[1] + t[2] + t[3]
	return p, nil
}

// foreignTicks sums the time of all processes that are neither self, nor in
// the group of one of its children, nor threads of the kernel. A child that
// ended lives on in the times of its parent, so short processes count too.
func foreignTicks(procs []process, self int) uint64 {
	own := map[int]bool{}
	for _, p := range procs {
		if p.ppid == self {
			own[p.group] = true
		}
	}
	const kthreadd = 2
	var sum uint64
	for _, p := range procs {
		if p.pid != self && !own[p.group] && p.pid != kthreadd && p.ppid != kthreadd {
			sum += p.ticks
		}
	}
	return sum
}

// footprint is the memory in bytes (proportional and resident set size) and the
// number of descriptors of all processes of one group.
type footprint struct{ pss, rss, files float64 }

// groupFootprint measures the group that leader leads.
func groupFootprint(leader int) (footprint, error) {
	procs, err := processes()
	if err != nil {
		return footprint{}, err
	}
	var sum footprint
	for _, p := range procs {
		if p.group != leader {
			continue
		}
		dir := filepath.Join("/proc", strconv.Itoa(p.pid))
		text, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			return sum, fmt.Errorf("memory of process %d: %w", p.pid, err)
		}
		pss, err1 := parseSmaps(string(text), "Pss:")
		rss, err2 := parseSmaps(string(text), "Rss:")
		files, err3 := os.ReadDir(filepath.Join(dir, "fd"))
		if err := errors.Join(err1, err2, err3); err != nil {
			return sum, fmt.Errorf("memory and descriptors of process %d: %w", p.pid, err)
		}
		sum.pss += pss
		sum.rss += rss
		sum.files += float64(len(files))
	}
	if sum.pss == 0 {
		return sum, fmt.Errorf("process group %d: %w", leader, fs.ErrNotExist)
	}
	return sum, nil
}

// parseSmaps returns the line that name begins, of a /proc/PID/smaps_rollup, in
// bytes.
func parseSmaps(text, name string) (float64, error) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("smaps_rollup: %w", err)
			}
			return float64(n) * 1024, nil
		}
	}
	return 0, fmt.Errorf("smaps_rollup: no line %s", name)
}

// slabs returns the bytes of all objects in the kernel's caches, NaN if only
// root may know (slabinfo(5)).
func slabs() (float64, error) {
	text, err := os.ReadFile("/proc/slabinfo")
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return math.NaN(), nil
	}
	if err != nil {
		return 0, err
	}
	return parseSlabs(string(text))
}

// parseSlabs reads the text of /proc/slabinfo. Sockets that only wait for the
// end of TIME_WAIT are left out: they are those of rounds before.
func parseSlabs(text string) (float64, error) {
	if !strings.HasPrefix(text, "slabinfo - version: 2") {
		return 0, errors.New("slabinfo: is not of version 2")
	}
	var sum float64
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "slabinfo" || f[0] == "#" || strings.HasPrefix(f[0], "tw_sock_") {
			continue
		}
		if len(f) < 4 {
			return 0, fmt.Errorf("slabinfo: %q has %d fields, 4 are needed", f[0], len(f))
		}
		objects, err1 := strconv.ParseUint(f[1], 10, 64)
		size, err2 := strconv.ParseUint(f[3], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return 0, fmt.Errorf("slabinfo: %s: %w", f[0], err)
		}
		sum += float64(objects) * float64(size)
	}
	return sum, nil
}
