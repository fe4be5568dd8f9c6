// Gen writes the generated files anew: docs/commands.md, the shell completions,
// and the lists of options and commands in the manual pages. Its argument is the root
// of the repository. `go generate ./...` runs it.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"pen/internal/manual"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen ROOT")
		os.Exit(2)
	}
	if err := generate(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(root string) error {
	files, err := manual.Files(root)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
