package testenv

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Smuggling is a stream of HTTP requests that proxies and servers have understood
// differently, and what Pen must do with it.
type Smuggling struct {
	Name     string
	Stream   []byte
	Requests int  // whole requests that a server may see
	Refused  bool // Pen closes the connection after them
}

// Smugglings reads the streams of a folder. The README there documents their format.
func Smugglings(t testing.TB, dir string) (all []Smuggling) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("found no streams in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			switch {
			case line == "" || line[0] == '#':
			case strings.HasPrefix(line, "== "):
				var s Smuggling
				var verdict string
				s.Name, verdict, _ = strings.Cut(line[3:], ": ")
				verdict, s.Refused = strings.CutSuffix(verdict, "refuse")
				if verdict = strings.TrimSpace(verdict); verdict != "" || !s.Refused {
					if s.Requests, err = strconv.Atoi(verdict); err != nil {
						t.Fatalf("%s:%d: %q is no verdict", file, i+1, verdict)
					}
				}
				all = append(all, s)
			default:
				quoted, err := strconv.QuotedPrefix(line)
				if err != nil || len(all) == 0 {
					t.Fatalf("%s:%d: %s is neither a case nor a string", file, i+1, line)
				}
				times := 1
				if _, repeat, ok := strings.Cut(line[len(quoted):], " * "); ok {
					if times, err = strconv.Atoi(repeat); err != nil {
						t.Fatalf("%s:%d: %v", file, i+1, err)
					}
				}
				s, _ := strconv.Unquote(quoted)
				last := &all[len(all)-1]
				last.Stream = append(last.Stream, strings.Repeat(s, times)...)
			}
		}
	}
	return all
}
