package repolint

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
	"internal/acl":            {"internal/heap"},
	"internal/heap":           {},
	"internal/accesslog":      {"internal/weblog"},
	"internal/acme":           {"internal/pemfile", "internal/wire"},
	"internal/pemfile":        {},
	"internal/check":          {"internal/duration", "internal/wire"},
	"internal/duration":       {},
	"internal/client":         {},
	"internal/pool":           {"internal/heap"},
	"internal/config":         {"internal/check", "internal/duration", "internal/wire"},
	"internal/geoip":          {},
	"internal/stats":          {},
	"internal/sock":           {},
	"internal/process":        {},
	"internal/manual":         {"internal/config"},
	"internal/manual/gen":     {"internal/manual"},
	"internal/repolint":       {"internal/config", "internal/manual"},
	"internal/health":         {"internal/check", "internal/edge", "internal/heap", "internal/names", "internal/sock", "internal/tlsterm", "internal/wire"},
	"internal/hostnames":      {"internal/wire"},
	"internal/names":          {"internal/wire"},
	"internal/weblog":         {},
	"internal/wire":           {},
	"internal/freeport":       {},
	"internal/testenv":        {"internal/freeport"},
	"internal/tlsterm":        {"internal/acme", "internal/pemfile", "internal/wire"},
	"internal/dispatch":       {"internal/acl", "internal/client", "internal/pool"},
	"internal/engine":         {"internal/config", "internal/dispatch", "internal/stats"},
	"internal/store":          {"internal/config", "internal/engine"},
	"internal/control":        {"internal/config", "internal/dispatch", "internal/engine", "internal/pool", "internal/sock", "internal/stats", "internal/wire"},
	"internal/plane":          {"internal/plane/relay", "internal/dispatch", "internal/edge", "internal/sock"},
	"internal/plane/idlers":   {"internal/plane", "internal/dispatch", "internal/sock"},
	"internal/edge":           {"internal/dispatch", "internal/tlsterm", "internal/wire"},
	"internal/plane/stream":   {"internal/plane", "internal/plane/idlers", "internal/plane/relay", "internal/plane/splice", "internal/dispatch", "internal/edge", "internal/sock", "internal/tlsterm", "internal/wire"},
	"internal/plane/relay":    {"internal/dispatch"},
	"internal/plane/splice":   {},
	"internal/plane/loop":     {"internal/plane", "internal/plane/idlers", "internal/plane/relay", "internal/plane/splice", "internal/dispatch", "internal/edge", "internal/sock"},
	"internal/plane/datagram": {"internal/plane", "internal/plane/relay", "internal/dispatch", "internal/edge", "internal/sock", "internal/wire"},
	"internal/plane/planetest": {
		"internal/plane", "internal/plane/relay", "internal/dispatch", "internal/edge", "internal/pool", "internal/acl", "internal/sock", "internal/testenv", "internal/wire",
	},
	"internal/build": {
		"internal/acl", "internal/acme", "internal/config", "internal/dispatch", "internal/edge", "internal/geoip", "internal/names", "internal/pool", "internal/sock", "internal/tlsterm",
	},
	"internal/app": {
		"internal/accesslog", "internal/acl", "internal/build", "internal/check", "internal/client", "internal/config", "internal/control", "internal/dispatch", "internal/edge", "internal/engine",
		"internal/geoip", "internal/health", "internal/names", "internal/plane", "internal/plane/datagram", "internal/plane/loop", "internal/plane/stream", "internal/pool", "internal/process", "internal/sock", "internal/stats", "internal/store", "internal/tlsterm",
	},
	"cmd/pen":        {"internal/app", "internal/config", "internal/process"},
	"cmd/penctl":     {},
	"cmd/penlog":     {},
	"cmd/penlogd":    {"internal/accesslog", "internal/process"},
	"cmd/mergelogs":  {"internal/weblog"},
	"cmd/webresolve": {"internal/config", "internal/hostnames", "internal/process"},
	"cmd/pendemo":    {},
	"bench":          {"internal/freeport"},

	// Whole programs are tested from outside.
	"test/internal/lab": {"internal/freeport", "internal/testenv"},
	"test/compat":       {},
	"test/faults":       {},
	"test/hardening":    {},
	"test/install":      {"internal/manual"},
	"test/peers":        {"internal/check", "internal/health"},
	"test/scale":        {"internal/client"},
	"test/script":       {},
	"test/transparent":  {},
}

// pure packages decide: plain data, no sockets, no files, no goroutines.
var pure = []string{
	"internal/acl", "internal/client", "internal/heap", "internal/pool", "internal/dispatch", "internal/config", "internal/engine", "internal/stats", "internal/store",
	"internal/weblog", "internal/check", "internal/duration", "internal/wire", "internal/plane/relay",
}

// pureLibrary are the packages outside this module that pure packages may
// import: they open no socket or file and start no process or goroutine. pflag
// could, and config has it do no more than sort the options of a command line.
var pureLibrary = []string{
	"bufio", "bytes", "cmp", "encoding/binary", "errors", "fmt", "hash/crc32", "hash/fnv", "hash/maphash", "html", "io", "iter", "maps",
	"math", "math/bits", "math/rand/v2", "net/netip", "path", "reflect", "slices", "sort", "strconv", "strings", "sync", "sync/atomic", "time",
	"unicode", "unicode/utf8", "github.com/spf13/pflag", "golang.org/x/crypto/cryptobyte",
}

// kernel packages may use system calls that the standard library lacks.
var kernel = []string{
	"internal/sock", "internal/process", "internal/plane/stream", "internal/plane/loop", "internal/plane/splice", "internal/plane/datagram", "internal/testenv", "bench",
}

// testMayImport reports whether the tests of a package may import another package
// beyond the table: themselves, what is for tests, and, in the tests of planes, the
// policy that they set up. planetest compares the planes.
func testMayImport(dir, pen string) bool {
	switch pen {
	case dir, "internal/testenv", "internal/plane/planetest":
		return true
	case "internal/acl", "internal/pool":
		return strings.HasPrefix(dir, "internal/plane/")
	case "internal/plane/loop", "internal/plane/stream":
		return dir == "internal/plane/planetest"
	case "test/internal/lab":
		return strings.HasPrefix(dir, "test/")
	}
	return false
}

func TestImports(t *testing.T) {
	found, used := map[string]bool{}, map[string]bool{}
	for dir, files := range goFiles(t) {
		allowed, ok := mayImport[dir]
		if !ok {
			t.Errorf("%s: has no row in the table of imports", dir)
		}
		found[dir] = true
		for _, file := range files {
			test := strings.HasSuffix(file, "_test.go")
			for _, path := range imports(t, file) {
				if pen, ok := strings.CutPrefix(path, "pen/"); ok {
					used[dir+" "+pen] = true
					if !slices.Contains(allowed, pen) && !(test && testMayImport(dir, pen)) {
						t.Errorf("%s: %s must not import %s", file, dir, path)
					}
				}
				if path == "golang.org/x/sys/unix" && !test && !slices.Contains(kernel, dir) {
					t.Errorf("%s: system calls belong to %v", file, kernel)
				}
				if !test && slices.Contains(pure, dir) && !isPure(path) {
					t.Errorf("%s: %s is pure and must not import %s", file, dir, path)
				}
			}
		}
	}
	for dir, allowed := range mayImport {
		if !found[dir] {
			t.Errorf("the table of imports has a row for %s, which is not there", dir)
		}
		for _, pen := range allowed {
			if !used[dir+" "+pen] {
				t.Errorf("the table of imports lets %s import %s, which it does not", dir, pen)
			}
		}
	}
}

// isPure reports whether a pure package may import a package: one of this module
// (the table says which), or one without sockets, files, processes and goroutines.
func isPure(path string) bool {
	return strings.HasPrefix(path, "pen/") || slices.Contains(pureLibrary, path)
}

// Pure packages start no goroutine and look at no clock.
func TestPurePackagesAreArithmetic(t *testing.T) {
	for dir, files := range goFiles(t) {
		if !slices.Contains(pure, dir) {
			continue
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			for _, what := range impure(t, readFile(t, file)) {
				t.Errorf("%s: %s is pure and must not use %s", file, dir, what)
			}
		}
	}
}

// The gate finds what it is there for, in whatever form it is written.
func TestImpureCodeIsFound(t *testing.T) {
	const head = "package p\n"
	for code, want := range map[string]string{
		`import "sync"; func f(g func()) { var wg sync.WaitGroup; wg.Go(g) }`: "wg.Go",
		`func f() { go f() }`:                                           "go",
		`import "time"; var f = time.Now`:                               "time.Now",
		`import clock "time"; func f() { clock.Sleep(1) }`:              "clock.Sleep",
		`import "time"; func f(t time.Time) { _ = time.Since(t) }`:      "time.Since",
		`import . "time"; func f() { Sleep(1) }`:                        `import . "time"`,
		`import "time"; func f(d time.Duration) { d.Round(time.Hour) }`: "",
		`type x struct{}; func (x) Now() {}; func f(t x) { t.Now() }`:   "",
	} {
		if got := strings.Join(impure(t, head+code), " "); got != want {
			t.Errorf("%s: found %q, want %q", code, got, want)
		}
	}
	for _, path := range []string{"net", "net/http", "os", "os/exec", "io/ioutil", "context", "log/slog", "syscall", "golang.org/x/sys/unix"} {
		if isPure(path) {
			t.Errorf("pure packages may import %s", path)
		}
	}
}

// Every package says what it is for, in one file.
func TestPackageDocs(t *testing.T) {
	for dir, files := range goFiles(t) {
		docs := 0
		for _, file := range files {
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil && (!strings.HasSuffix(file, "_test.go") || strings.HasPrefix(dir, "test/")) {
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

// clock are the functions of package time that read the clock or wait for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}

// impure returns what a file's code uses of goroutines and of the clock.
func impure(t *testing.T, code string) (found []string) {
	f, err := parser.ParseFile(token.NewFileSet(), "", code, 0)
	if err != nil {
		t.Fatal(err)
	}
	timeName := ""
	for _, s := range f.Imports {
		if s.Path.Value != `"time"` {
			continue
		}
		timeName = "time"
		if s.Name != nil {
			timeName = s.Name.Name
		}
		if timeName == "." {
			found = append(found, `import . "time"`)
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, "go")
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			switch {
			case ok && x.Name == timeName && slices.Contains(clock, n.Sel.Name):
				found = append(found, x.Name+"."+n.Sel.Name)
			case n.Sel.Name == "Go": // sync.WaitGroup.Go and its kind
				name := "Go"
				if ok {
					name = x.Name + ".Go"
				}
				found = append(found, name)
			}
		}
		return true
	})
	return found
}
