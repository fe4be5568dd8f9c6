package process

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is the memory that this process and others in its control group may use
// together (cgroups(7)), of either version.
type Memory struct {
	Limit int64 // bytes
	usage *os.File
	stat  *os.File
}

// OwnMemory returns the memory of the process's control group, or nil where there
// is no limit, or none that can be read. Its files stay open, also after a change
// of the root directory.
func OwnMemory() *Memory {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil
	}
	return memoryOf("/sys/fs/cgroup", string(groups))
}

// memoryOf finds the smallest limit of a process's group and those around it. In
// a container these may be mounted as the root.
func memoryOf(root, groups string) *Memory {
	var best *Memory
	for line := range strings.Lines(groups) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		mount, limit, usage := root, "memory.max", "memory.current"
		switch {
		case parts[1] == "memory":
			mount, limit, usage = filepath.Join(root, "memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"
		case parts[0] != "0" || parts[1] != "":
			continue
		}
		for dir := filepath.Clean("/" + parts[2]); ; dir = filepath.Dir(dir) {
			best = smaller(best, filepath.Join(mount, dir), limit, usage)
			if dir == "/" {
				break
			}
		}
	}
	return best
}

// smaller returns the memory of a group where its limit is less than that of m.
func smaller(m *Memory, dir, limit, usage string) *Memory {
	text, err := os.ReadFile(filepath.Join(dir, limit))
	if err != nil {
		return m
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	// Without a limit it is "max", or nearly all that the number can be.
	if err != nil || n <= 0 || n > math.MaxInt64/2 || m != nil && n >= m.Limit {
		return m
	}
	out := &Memory{Limit: n}
	if out.usage, err = os.Open(filepath.Join(dir, usage)); err != nil {
		return m
	}
	if out.stat, err = os.Open(filepath.Join(dir, "memory.stat")); err != nil {
		out.usage.Close()
		return m
	}
	m.Close()
	return out
}

// Close closes the files. The nil Memory has none.
func (m *Memory) Close() {
	if m != nil {
		m.usage.Close()
		m.stat.Close()
	}
}

// Used is how many bytes are in use that the kernel can't take back at once, as it
// can what it keeps of files.
func (m *Memory) Used() (int64, error) {
	text, err := readAgain(m.usage)
	if err != nil {
		return 0, err
	}
	used, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", m.usage.Name(), err)
	}
	if used < m.Limit/2 {
		return used, nil // what it is exactly does not matter
	}
	stat, err := readAgain(m.stat)
	if err != nil {
		return 0, err
	}
	files := int64(-1)
	for line := range strings.Lines(string(stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		// Version 1 has both, the first one without the groups below.
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && (name == "total_inactive_file" || name == "inactive_file" && files < 0) {
			files = n
		}
	}
	return used - min(max(files, 0), used), nil
}

// readAgain reads a file from its start.
func readAgain(f *os.File) ([]byte, error) {
	buf := make([]byte, 16<<10)
	n, err := f.ReadAt(buf, 0)
	if n == 0 {
		return nil, errors.Join(fmt.Errorf("%s is empty", f.Name()), err)
	}
	return buf[:n], nil
}
