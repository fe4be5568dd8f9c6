package config

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// manyServers is the file of ten thousand servers in so many services, which
// have names on demand.
func manyServers(services int, named bool) string {
	var b strings.Builder
	for n := range 10_000 {
		if n%(10_000/services) == 0 {
			fmt.Fprintf(&b, "service s%d\n", n)
		}
		fmt.Fprintf(&b, "server %d address 127.1.%d.%d port 80", n%(10_000/services), n/250, n%250)
		if named {
			fmt.Fprintf(&b, " name web%d", n)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// A line is tried without a table that is as long as its slot says: with
// thousands of lines that would be gigabytes.
func TestTryingAServerMakesNoTable(t *testing.T) {
	const lines = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range lines {
		if _, err := ParseLine("server 65535 address 127.0.0.1 port 80"); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / lines; each > 64<<10 {
		t.Errorf("%d bytes allocated for a line, want at most 64 KiB", each)
	}
}

// BenchmarkReadFile shows what it costs to understand a file of ten thousand
// servers, and to merge it.
func BenchmarkReadFile(b *testing.B) {
	for _, services := range []int{1, 100, 1000} {
		for _, named := range []bool{false, true} {
			text := manyServers(services, named)
			read := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
			b.Run(fmt.Sprintf("services=%d/named=%v", services, named), func(b *testing.B) {
				for b.Loop() {
					if _, _, err := ReadFile(Default(), DefaultService, "pen.conf", read); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkMerge shows what a file costs in which nothing has changed.
func BenchmarkMerge(b *testing.B) {
	for _, services := range []int{1, 100, 1000} {
		text := manyServers(services, true)
		read := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
		cfg, _, err := ReadFile(Default(), DefaultService, "pen.conf", read)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("services=%d", services), func(b *testing.B) {
			for b.Loop() {
				Merge(cfg, cfg, cfg)
			}
		})
	}
}
