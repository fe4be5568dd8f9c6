package repolint

import (
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pen/internal/config"
	"pen/internal/manual"
)

func manualPages(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("packaging/man/*.[1-9]")
	if err != nil || len(pages) < 5 {
		t.Fatalf("found only %q: %v", pages, err)
	}
	return pages
}

// literal is what stands in a page as an example.
var literal = regexp.MustCompile(`(?ms)^\.Bd -literal.*?\n(.*?)^\.Ed`)

// section returns a section of a page.
func section(t *testing.T, page, title string) string {
	t.Helper()
	_, after, _ := strings.Cut(readFile(t, page), ".Sh "+title+"\n")
	text, _, _ := strings.Cut(after, "\n.Sh ")
	return text
}

// The examples of command lines, commands and files are right.
func TestManualExamples(t *testing.T) {
	file := literal.FindStringSubmatch(section(t, "packaging/man/pen.conf.5", "EXAMPLES"))
	if file == nil {
		t.Fatal("pen.conf.5 has no example")
	}
	open := func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(file[1])), nil }
	if _, _, err := config.ReadFile(config.Default(), config.DefaultService, "pen.conf", open); err != nil {
		t.Errorf("the example of pen.conf.5: %v", err)
	}
	checked := 0
	for _, page := range manualPages(t) {
		for _, m := range literal.FindAllStringSubmatch(section(t, page, "EXAMPLES"), -1) {
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
				source.WriteString(readFile(t, file))
			}
		}
	}
	programs, err := manual.Programs(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range manualPages(t) {
		program := strings.TrimSuffix(filepath.Base(page), ".1")
		if strings.HasSuffix(page, ".1") && !slices.Contains(programs, program) {
			continue
		}
		for _, m := range message.FindAllStringSubmatch(section(t, page, "DIAGNOSTICS"), -1) {
			for _, text := range notText.Split(m[1], -1) {
				if !strings.Contains(source.String(), strings.Trim(text, " :")) {
					t.Errorf("%s: no program says %q", page, text)
				}
			}
		}
	}
}
