// Package install_test tests what users install: programs, manual pages, and completions
// in the shells themselves.
package install_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pen/internal/manual"
	"pen/test/internal/lab"
)

// make install installs all files, and make uninstall removes exactly these.
func TestInstall(t *testing.T) {
	dest := t.TempDir()
	other := filepath.Join(dest, "usr/bin/other")
	if err := os.MkdirAll(filepath.Dir(other), 0o755); err != nil {
		t.Fatal(err)
	}
	lab.WriteFile(t, other, "")
	lab.Output(t, "make", "-C", lab.Root(), "install", "DESTDIR="+dest, "PREFIX=/usr")
	want := []string{
		"bin/other",
		"share/bash-completion/completions/pen", "share/bash-completion/completions/penctl",
		"share/fish/vendor_completions.d/pen.fish", "share/fish/vendor_completions.d/penctl.fish",
		"share/zsh/site-functions/_pen",
	}
	programs, err := manual.Programs(lab.Root())
	if err != nil {
		t.Fatal(err)
	}
	for _, program := range programs {
		want = append(want, "bin/"+program)
	}
	for _, page := range manualPages(t) {
		name := filepath.Base(page)
		want = append(want, "share/man/man"+strings.TrimPrefix(filepath.Ext(name), ".")+"/"+name)
	}
	slices.Sort(want)
	if got := filesBelow(t, filepath.Join(dest, "usr")); !slices.Equal(got, want) {
		t.Errorf("installed: %q, want %q", got, want)
	}
	if out := lab.Output(t, filepath.Join(dest, "usr/bin/pen"), "-V"); !strings.HasPrefix(out, "pen ") {
		t.Errorf("the installed program is %q", out)
	}
	// mman is mandoc's man.
	if page := lab.Output(t, "mman", "-M", filepath.Join(dest, "usr/share/man"), "pen.conf"); !strings.Contains(page, "load balancer") {
		t.Errorf("man pen.conf: %s", page)
	}

	lab.Output(t, "make", "-C", lab.Root(), "uninstall", "DESTDIR="+dest, "PREFIX=/usr")
	if got := filesBelow(t, dest); !slices.Equal(got, []string{"usr/bin/other"}) {
		t.Errorf("left after uninstall: %q", got)
	}
}

// filesBelow returns the paths of all files below dir. It checks that every user can
// read them, and run the programs.
func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := os.Stat(path) // a link must not dangle
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, dir+"/")
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") && d.Name() != "other" {
			mode = 0o755
		}
		if st.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", name, st.Mode().Perm(), mode)
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func manualPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob(filepath.Join(lab.Root(), "packaging/man/*.[1-9]"))
	if err != nil || len(pages) < 5 {
		t.Fatalf("found only %q: %v", pages, err)
	}
	return pages
}

func TestManualPagesLint(t *testing.T) {
	for _, page := range manualPages(t) {
		if out, err := exec.Command("mandoc", "-Tlint", "-W", "warning", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("mandoc: %v\n%s", err, out)
		}
	}
}
