package pen_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of docs/architecture.md: the packages of this module
// that each one may import. A package without a row is an error, and so is a
// row without a package.
var mayImport = map[string][]string{
	"internal/acl":            {},
	"internal/accesslog":      {},
	"internal/check":          {"internal/duration"},
	"internal/duration":       {},
	"internal/client":         {},
	"internal/pool":           {},
	"internal/config":         {"internal/check", "internal/duration", "internal/wire"},
	"internal/geoip":          {},
	"internal/stats":          {},
	"internal/sock":           {},
	"internal/process":        {},
	"internal/manual":         {"internal/config"},
	"internal/health":         {"internal/check", "internal/edge", "internal/sock", "internal/tlsterm", "internal/wire"},
	"internal/hostnames":      {},
	"internal/names":          {},
	"internal/weblog":         {},
	"internal/wire":           {},
	"internal/freeport":       {},
	"internal/testenv":        {"internal/freeport"},
	"internal/tlsterm":        {"internal/wire"},
	"internal/dispatch":       {"internal/acl", "internal/client", "internal/pool"},
	"internal/control":        {"internal/config", "internal/stats"},
	"internal/plane":          {"internal/dispatch", "internal/sock"},
	"internal/plane/idlers":   {"internal/plane", "internal/dispatch", "internal/sock"},
	"internal/edge":           {"internal/tlsterm", "internal/wire"},
	"internal/plane/stream":   {"internal/plane", "internal/plane/idlers", "internal/dispatch", "internal/edge", "internal/sock", "internal/tlsterm", "internal/wire"},
	"internal/plane/loop":     {"internal/plane", "internal/plane/idlers", "internal/dispatch", "internal/sock"},
	"internal/plane/datagram": {"internal/plane", "internal/dispatch", "internal/edge", "internal/sock", "internal/wire"},
	"internal/plane/planetest": {
		"internal/plane", "internal/dispatch", "internal/pool", "internal/acl", "internal/testenv",
	},
	"internal/app": {
		"internal/accesslog", "internal/acl", "internal/check", "internal/client", "internal/config", "internal/control", "internal/dispatch", "internal/edge",
		"internal/geoip", "internal/health", "internal/names", "internal/plane", "internal/plane/datagram", "internal/plane/loop", "internal/plane/stream", "internal/pool", "internal/process", "internal/sock", "internal/stats", "internal/tlsterm",
	},
	"cmd/pen":        {"internal/app", "internal/config", "internal/process", "internal/sock"},
	"cmd/penctl":     {},
	"cmd/penlog":     {},
	"cmd/penlogd":    {"internal/accesslog", "internal/process"},
	"cmd/mergelogs":  {"internal/weblog"},
	"cmd/webresolve": {"internal/config", "internal/hostnames", "internal/process"},
	"cmd/pendemo":    {},
	"bench":          {"internal/freeport"},
}

// pure packages decide: plain data, no sockets, no files, no goroutines.
var pure = []string{
	"internal/acl", "internal/client", "internal/pool", "internal/dispatch", "internal/config", "internal/stats",
	"internal/weblog", "internal/check", "internal/duration", "internal/wire",
}

// kernel packages may use system calls that the standard library lacks.
var kernel = []string{
	"internal/sock", "internal/process", "internal/plane/stream", "internal/plane/loop", "internal/plane/datagram", "internal/testenv", "bench",
}

// testsToo are packages that tests may import from anywhere.
var testsToo = []string{"internal/testenv", "internal/plane/planetest"}

// policyInTests are what the tests of planes configure the policy with.
var policyInTests = []string{"internal/acl", "internal/pool"}

func TestImports(t *testing.T) {
	found := map[string]bool{}
	for dir, files := range goFiles(t) {
		if dir == "." {
			continue // this file
		}
		allowed, ok := mayImport[dir]
		if !ok {
			t.Errorf("%s: has no row in the table of imports", dir)
		}
		found[dir] = true
		for _, file := range files {
			test := strings.HasSuffix(file, "_test.go")
			for _, path := range imports(t, file) {
				if pen, ok := strings.CutPrefix(path, "pen/"); ok {
					if !slices.Contains(allowed, pen) && !(test && (slices.Contains(testsToo, pen) || pen == dir || strings.HasPrefix(dir, "internal/plane/") && slices.Contains(policyInTests, pen))) {
						t.Errorf("%s: %s must not import %s", file, dir, path)
					}
				}
				if path == "golang.org/x/sys/unix" && !test && !slices.Contains(kernel, dir) {
					t.Errorf("%s: system calls belong to %v", file, kernel)
				}
				if !test && slices.Contains(pure, dir) && slices.Contains([]string{"net", "os", "syscall", "context"}, path) {
					t.Errorf("%s: %s is pure and must not import %s", file, dir, path)
				}
			}
		}
	}
	for dir := range mayImport {
		if !found[dir] {
			t.Errorf("the table of imports has a row for %s, which is not there", dir)
		}
	}
}

// Pure packages start nothing.
func TestPurePackagesStartNoGoroutine(t *testing.T) {
	for dir, files := range goFiles(t) {
		if !slices.Contains(pure, dir) {
			continue
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") && startsGoroutine(t, file) {
				t.Errorf("%s: %s is pure and must not start a goroutine", file, dir)
			}
		}
	}
}

// Every package says what it is for, in one file.
func TestPackageDocs(t *testing.T) {
	for dir, files := range goFiles(t) {
		if dir == "." {
			continue
		}
		docs := 0
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && !strings.HasSuffix(file, "_test.go") {
				docs++
			}
		}
		if docs != 1 {
			t.Errorf("%s: %d package comments, want 1", dir, docs)
		}
	}
}

// goFiles returns the module's Go files by folder.
func goFiles(t *testing.T) map[string][]string {
	dirs := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "tools" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			dirs[filepath.Dir(path)] = append(dirs[filepath.Dir(path)], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) < 2 {
		t.Fatalf("found only %v", slices.Collect(maps.Keys(dirs)))
	}
	return dirs
}

func imports(t *testing.T, file string) []string {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, s := range f.Imports {
		paths = append(paths, strings.Trim(s.Path.Value, `"`))
	}
	return paths
}

func startsGoroutine(t *testing.T, file string) bool {
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		_, isGo := n.(*ast.GoStmt)
		found = found || isGo
		return true
	})
	return found
}
