// Package lab is what the tests of whole programs share: Pen's programs, built once
// for all test packages, real servers and simple ones, clients, and load.
//
// What a test has started stops with the test.
package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pen/internal/testenv"
)

// Root returns the root of the repository.
func Root() string {
	root, err := findRoot()
	if err != nil {
		panic(err)
	}
	return root
}

// findRoot looks for the go.mod of the product above the test's folder.
var findRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if strings.HasPrefix(ReadFile(filepath.Join(dir, "go.mod")), "module pen\n") {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("no go.mod of the module pen above the test")
		}
		dir = filepath.Dir(dir)
	}
	return "", err
})

// Document returns a document of the repository, such as docs/differences.md.
func Document(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ReadFile returns what is in a file, or nothing if it can't be read.
func ReadFile(name string) string {
	b, _ := os.ReadFile(name)
	return string(b)
}

// WriteFile writes a file.
func WriteFile(t testenv.Failer, name, text string) {
	if t, ok := t.(interface{ Helper() }); ok {
		t.Helper()
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatalf("%v", err)
	}
}
