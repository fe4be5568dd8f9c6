package pen_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pen/internal/config"
	"pen/internal/manual"
)

// generated are the generated parts of a page. That of any other program has
// "options" if the program has some.
var generated = map[string][]string{
	"pen.1":      {"options"},
	"pen.conf.5": {"settings", "actions", "questions", "unused"},
	"penctl.1":   {"questions", "actions"},
}

// Every program has a manual page, and what it says of options and commands is
// what the programs say.
func TestManualPages(t *testing.T) {
	pages := []string{"pen.conf.5"}
	for _, program := range installed(t) {
		pages = append(pages, program+".1")
	}
	for _, page := range pages {
		parts := manual.Parts()
		want, ok := generated[page]
		if !ok {
			parts["options"] = optionsOf(t, strings.TrimSuffix(page, ".1"))
			if parts["options"] != "" {
				want = []string{"options"}
			}
		}
		name := "packaging/man/" + page
		was := readFile(name)
		is, names, err := manual.Fill(was, parts)
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: generated parts %q, want %q, %v", name, names, want, err)
			continue
		}
		if *update {
			writeFile(t, name, is)
			was = is
		}
		if was != is {
			t.Errorf("%s is not what the programs say; run the command that stands in it", name)
		}
	}
}

// installed are the programs that users get.
func installed(t *testing.T) []string {
	t.Helper()
	dirs, err := os.ReadDir("cmd")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		if d.Name() != "pendemo" {
			names = append(names, d.Name())
		}
	}
	return names
}

// optionsOf asks a program for its options. One that has none prints how it is
// used, whatever its exit code.
func optionsOf(t *testing.T, program string) string {
	t.Helper()
	help, _ := exec.Command(filepath.Join(programs, program), "--help").CombinedOutput()
	if !strings.Contains(strings.ToLower(string(help)), "usage: "+program) {
		t.Errorf("%s --help prints no usage: %q", program, help)
	}
	return manual.HelpOptions(string(help))
}

func manualPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("packaging/man/*.[1-9]")
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

// literal is what stands in a page as an example.
var literal = regexp.MustCompile(`(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed`)

// section returns a section of a page.
func section(page, title string) string {
	_, after, _ := strings.Cut(readFile(page), ".Sh "+title+"\n")
	text, _, _ := strings.Cut(after, "\n.Sh ")
	return text
}

// The examples of command lines, commands and files are right.
func TestManualExamples(t *testing.T) {
	file := literal.FindStringSubmatch(section("packaging/man/pen.conf.5", "EXAMPLES"))
	if file == nil {
		t.Fatal("pen.conf.5 has no example")
	}
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file[1])), nil }
	if _, _, err := config.ReadFile(config.Default(), "", "pen.conf", open); err != nil {
		t.Errorf("the example of pen.conf.5: %v", err)
	}
	checked := 0
	for _, page := range manualPages(t) {
		for _, m := range literal.FindAllStringSubmatch(section(page, "EXAMPLES"), -1) {
			for line := range strings.Lines(m[1]) {
				words := strings.Fields(line)
				switch {
				case len(words) > 1 && words[0] == "pen":
					if inv, errs := config.ParseArgs(words[1:], open); len(errs) > 0 || inv.Usage {
						t.Errorf("%s: %s: %v", page, line, errs)
					}
				case len(words) > 2 && words[0] == "penctl":
					if _, err := config.ParseLine(strings.Join(words[2:], " ")); err != nil {
						t.Errorf("%s: %s: %v", page, line, err)
					}
				default:
					continue
				}
				checked++
			}
		}
	}
	if checked < 10 {
		t.Errorf("checked only %d examples", checked)
	}
}

var (
	message = regexp.MustCompile(`(?m)^\.It (.*)$`)
	// notText is what parts a message where it is not the same every time.
	notText = regexp.MustCompile(` ?\b(Ar|Fl) \w+ ?| ?\b(Ns|No|Bq)\b ?| : `)
)

// The messages under DIAGNOSTICS stand in the programs.
func TestManualDiagnostics(t *testing.T) {
	var source strings.Builder
	for dir, files := range goFiles(t) {
		if !strings.HasPrefix(dir, "cmd/") && !strings.HasPrefix(dir, "internal/") {
			continue
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				source.WriteString(readFile(file))
			}
		}
	}
	for _, page := range manualPages(t) {
		program := strings.TrimSuffix(filepath.Base(page), ".1")
		if strings.HasSuffix(page, ".1") && !slices.Contains(installed(t), program) {
			continue
		}
		for _, m := range message.FindAllStringSubmatch(section(page, "DIAGNOSTICS"), -1) {
			for _, text := range notText.Split(m[1], -1) {
				if !strings.Contains(source.String(), strings.Trim(text, " :")) {
					t.Errorf("%s: no program says %q", page, text)
				}
			}
		}
	}
}
