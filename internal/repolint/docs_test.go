package repolint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var link = regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`)

// What a document links to exists.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "README.md", "bench/README.md", "CHANGELOG.md") {
		for _, m := range link.FindAllStringSubmatch(readFile(t, file), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
}

var namedTest = regexp.MustCompile("`(Test[A-Za-z0-9]+)(?:/([^`]+))?`")

// The tests that documents name are there.
func TestNamedTests(t *testing.T) {
	var packages []string // the tests of each
	for _, files := range goFiles(t) {
		text := ""
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				text += readFile(t, file)
			}
		}
		packages = append(packages, text)
	}
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, file := range files {
		for _, m := range namedTest.FindAllStringSubmatch(readFile(t, file), -1) {
			named++
			if !slices.ContainsFunc(packages, func(text string) bool {
				return strings.Contains(text, "func "+m[1]+"(") && (m[2] == "" || strings.Contains(text, `"`+m[2]+`"`))
			}) {
				t.Errorf("%s names the test %s, which is not there", file, m[0])
			}
		}
	}
	if named < 50 {
		t.Errorf("found only %d names of tests", named)
	}
}
