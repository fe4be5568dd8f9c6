package pen_test

import (
	"os"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"pen/internal/testenv"
)

// countrydb FILE LINES writes a data base of countries, over an old one if
// there is one. LINES is a file with lines such as "127.0.0.0/8 SE".
func countryDB(ts *testscript.TestScript, _ bool, args []string) {
	var lines []string
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		lines = append(lines, strings.TrimSpace(line))
	}
	data, err := testenv.CountryDB(lines...)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), data, 0o644))
}
