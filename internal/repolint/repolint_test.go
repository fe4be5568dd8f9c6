package repolint

import (
	"os"
	"testing"

	"pen/internal/manual"
)

// TestMain has the tests run in the root of the repository.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// What `go generate ./...` writes is what the verb table and the programs say.
func TestGeneratedFilesAreCurrent(t *testing.T) {
	files, err := manual.Files(".")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if readFile(t, name) != want {
			t.Errorf("%s is stale; run go generate ./... to write it anew", name)
		}
	}
	if len(files) < 11 {
		t.Errorf("only %d files are generated", len(files))
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
