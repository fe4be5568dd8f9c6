package repolint

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// forTests are the packages that no program uses.
var forTests = []string{"internal/testenv", "internal/plane/planetest", "internal/manual", "internal/manual/gen", "internal/repolint"}

var (
	requireBlock = regexp.MustCompile(`(?ms)^((?://[^\n]*\n)?)require \(\n(.*?)^\)`)
	requireLine  = regexp.MustCompile(`(?m)^\t(\S+) \S+$`) // without "// indirect"
)

// go.mod says truly which modules the product uses, and which only its tests.
func TestModulesOfTests(t *testing.T) {
	var product []string
	for dir, files := range goFiles(t) {
		if strings.HasPrefix(dir, "test/") || dir == "bench" || slices.Contains(forTests, dir) {
			continue
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				product = append(product, imports(t, file)...)
			}
		}
	}
	found := 0
	for _, block := range requireBlock.FindAllStringSubmatch(readFile(t, "go.mod"), -1) {
		tests := strings.Contains(block[1], "Only tests")
		for _, m := range requireLine.FindAllStringSubmatch(block[2], -1) {
			found++
			used := slices.ContainsFunc(product, func(path string) bool { return path == m[1] || strings.HasPrefix(path, m[1]+"/") })
			if used == tests {
				t.Errorf("go.mod: %s stands in the wrong block: the product uses it: %v", m[1], used)
			}
		}
	}
	if found < 10 {
		t.Errorf("found only %d modules in go.mod", found)
	}
}
