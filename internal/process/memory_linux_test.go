package process

import (
	"os"
	"path/filepath"
	"testing"
)

// The least limit of the groups around a process counts, in either version, and
// what the kernel keeps of files does not.
func TestMemory(t *testing.T) {
	for name, tt := range map[string]struct {
		groups string
		files  map[string]string
		limit  int64
		used   int64
	}{
		"version 2": {"0::/a/b\n", map[string]string{
			"a/memory.max": "500\n", "a/memory.current": "300\n", "a/memory.stat": "anon 100\ninactive_file 50\n",
			"a/b/memory.max": "max\n", "a/b/memory.current": "200\n", "a/b/memory.stat": "inactive_file 1\n",
		}, 500, 250},
		"version 2, in a container": {"0::/\n", map[string]string{
			"memory.max": "64\n", "memory.current": "40\n", "memory.stat": "inactive_file 50\n",
		}, 64, 0},
		"version 1": {"9:name=systemd:/x\n4:memory:/a\n0::/\n", map[string]string{
			"memory/a/memory.limit_in_bytes": "1500", "memory/a/memory.usage_in_bytes": "900", "memory/a/memory.stat": "inactive_file 1\ntotal_inactive_file 100\n",
			"memory/memory.limit_in_bytes": "9223372036854771712", "memory/memory.usage_in_bytes": "5000", "memory/memory.stat": "",
		}, 1500, 800},
		"version 1, elsewhere in a container": {"4:memory:/docker/123\n", map[string]string{
			"memory/memory.limit_in_bytes": "5000", "memory/memory.usage_in_bytes": "900", "memory/memory.stat": "x y z\n",
		}, 5000, 900},
		"no limit":    {"0::/a\n", map[string]string{"a/memory.max": "max\n"}, 0, 0},
		"no groups":   {"", nil, 0, 0},
		"not numbers": {"0::/a\nwhat\n", map[string]string{"a/memory.max": "many\n"}, 0, 0},
	} {
		root := t.TempDir()
		for file, text := range tt.files {
			file = filepath.Join(root, file)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m := memoryOf(root, tt.groups)
		if m == nil || tt.limit == 0 {
			if m != nil || tt.limit != 0 {
				t.Errorf("%s: %+v, want a limit of %d", name, m, tt.limit)
			}
			continue
		}
		if used, err := m.Used(); m.Limit != tt.limit || used != tt.used || err != nil {
			t.Errorf("%s: %d of %d, %v, want %d of %d", name, used, m.Limit, err, tt.used, tt.limit)
		}
		m.Close()
	}
	OwnMemory().Close()
}
