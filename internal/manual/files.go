package manual

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:generate go run ./gen ../..

// partsOf are the generated parts of a page. The page of any other program has
// "options" if the program has some.
var partsOf = map[string][]string{
	"pen.1":      {"options"},
	"pen.conf.5": {"keys", "settings", "actions", "questions", "unused"},
	"penctl.1":   {"questions", "actions"},
}

// Programs returns the programs that users get, given the root of the repository.
func Programs(root string) ([]string, error) {
	dirs, err := os.ReadDir(filepath.Join(root, "cmd"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range dirs {
		if d.Name() != "pendemo" {
			names = append(names, d.Name())
		}
	}
	return names, nil
}

// Files returns the generated files by their paths from the root of the
// repository: docs/commands.md, docs/imports.svg, the completions, and the manual
// pages, whose hand-written parts it reads from there. It builds the programs to ask those
// other than Pen for their options.
func Files(root string) (map[string]string, error) {
	files := map[string]string{"docs/commands.md": commandsDocument()}
	scripts, err := Completions()
	if err != nil {
		return nil, err
	}
	for name, text := range scripts {
		files["packaging/completions/"+name] = text
	}
	if files["docs/imports.svg"], err = picture(root); err != nil {
		return nil, err
	}
	return files, pages(root, files)
}

// pages adds the manual page of every program, and pen.conf.5, to files.
func pages(root string, files map[string]string) error {
	programs, err := Programs(root)
	if err != nil {
		return err
	}
	built, err := os.MkdirTemp("", "pen-manual-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(built)
	args := []string{"build", "-o", built}
	for _, program := range programs {
		args = append(args, "./cmd/"+program)
	}
	build := exec.Command("go", args...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the programs: %w\n%s", err, out)
	}
	for _, program := range programs {
		parts := Parts()
		if partsOf[program+".1"] == nil {
			if parts["options"], err = programOptions(filepath.Join(built, program)); err != nil {
				return err
			}
		}
		if err := page(root, program+".1", parts, files); err != nil {
			return err
		}
	}
	return page(root, "pen.conf.5", Parts(), files)
}

// page adds a page to files. It fails where the page lacks a generated part or has
// one too many.
func page(root, name string, parts, files map[string]string) error {
	path := "packaging/man/" + name
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return err
	}
	want, ok := partsOf[name]
	if !ok && parts["options"] != "" {
		want = []string{"options"}
	}
	filled, names, err := Fill(string(text), parts)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if !slices.Equal(names, want) {
		return fmt.Errorf("%s: generated parts %q, want %q", path, names, want)
	}
	files[path] = filled
	return nil
}

// programOptions returns the options of a program, which it prints with --help. A
// program without options prints its usage, whatever its exit code.
func programOptions(path string) (string, error) {
	help, _ := exec.Command(path, "--help").CombinedOutput()
	if !strings.Contains(strings.ToLower(string(help)), "usage: "+filepath.Base(path)) {
		return "", fmt.Errorf("%s --help prints no usage: %q", filepath.Base(path), help)
	}
	return HelpOptions(string(help)), nil
}
