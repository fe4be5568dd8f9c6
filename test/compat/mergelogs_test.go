package compat_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pen/test/internal/lab"
)

const cMergelogs = "/usr/bin/mergelogs"

// A mergeCase is run with C Pen's mergelogs and with ours, in a folder with mergeFiles.
// Output and exit code must be equal, unless row names a row of docs/differences.md;
// then c and ours are the clients in the output of C Pen's and of ours, or "exit 1".
type mergeCase struct {
	args    string
	zone    string // TZ
	row     string
	c, ours string
}

// mergeFiles are logs around 1000036800, which is 12:00:00 UTC on the 9th of
// September 2001. Lines of different web servers are more than an hour apart,
// or C Pen might give them another order (row mergelogs-hour).
var mergeFiles = map[string]string{
	"pen": `192.0.2.1 1000036800 10.0.0.1 GET /1 HTTP/1.1
192.0.2.2 1000036801 10.0.0.1 GET /2 HTTP/1.1
192.0.2.3 1000036801 10.0.0.2 GET /1 HTTP/1.1
192.0.2.4 1000045000 10.0.0.1 GET /1 HTTP/1.1
192.0.2.5 1000060000 10.0.0.2 GET /5
2001:db8::9 1000060001 10.0.0.2 -
`,
	"a": `pen - - [09/Sep/2001:12:00:01 +0000] "GET /1 HTTP/1.1" 200 5
pen -  bob smith   [09/Sep/2001:14:00:01 +0200]   "GET /2 HTTP/1.1"   200 5  "http://x/?\"" "[agent] \"x\""
pen - - [09/Sep/2001:12:00:02 +0000] "GET /none HTTP/1.1" 404 5
pen - - [09/Sep/2001:14:30:05 +0000] "GET /1 HTTP/1.1" 200 5
`,
	"b": `pen - - [09/Sep/2001:16:00:00 -0700] "GET /1 HTTP/1.1" 200 5
pen - - [10/Sep/2001:03:00:00 +0530] "GET /1 HTTP/1.1" 200 5
`,
	"two": `pen - - [09/Sep/2001:09:00:00 +0000] "GET /early" 200 5
pen - - [09/Sep/2001:18:26:40 +0000] "GET /5" 200 5
pen - - [09/Sep/2001:18:26:41 +0000] "-" 408 0
`,
	"garbage":      "x\n\nx [y] \"z\"\npen - - [09/Sep/2001:12:00:00] \"GET /1 HTTP/1.1\" 200\npen - - [09/Sep/2001:12:00:00 +0000] \"GET /1 HTTP/1.1\" 200\n",
	"empty":        "",
	"noend":        `pen - - [09/Sep/2001:12:00:00 +0000] "GET /1 HTTP/1.1" 200 5`,
	"special-pen":  "192.0.2.1 1000036800 10.0.0.1 " + ("GET /" + strings.Repeat("x", 200))[:100] + "\n192.0.2.2 1000036800 10.0.0.1 GET /\"..\n192.0.2.6 1000036800 ::1 GET /6\n",
	"long":         `pen - - [09/Sep/2001:12:00:00 +0000] "GET /` + strings.Repeat("x", 200) + ` HTTP/1.1" 200 5` + "\n",
	"escaped":      `pen - - [09/Sep/2001:12:00:00 +0000] "GET /\x22\xc3\xa9" 200 5` + "\n",
	"norest":       `pen - - [09/Sep/2001:12:00:00 +0000] "GET /1 HTTP/1.1"` + "\n",
	"baddate":      `pen - - [31/Feb/2001:12:00:00 +0000] "GET /1 HTTP/1.1" 200 5` + "\n",
	"ipv6":         `pen - - [09/Sep/2001:12:00:00 +0000] "GET /6" 200 5` + "\n",
	"zone-pen":     "192.0.2.9 1000004400 10.0.0.1 GET /1 HTTP/1.1\n192.0.2.1 1000036800 10.0.0.1 GET /1 HTTP/1.1\n",
	"tomorrow-pen": "192.0.2.1 1000136800 10.0.0.1 GET /1 HTTP/1.1\n",
}

var mergeCases = []mergeCase{
	{args: "-p pen -j 5400 10.0.0.1:a"},
	{args: "-p pen -j 5400 10.0.0.1:a 10.0.0.2:two"},
	{args: "-p pen -j 5400 10.0.0.2:two 10.0.0.1:a 10.0.0.9:empty"},
	{args: "-c -p pen -j 5400 10.0.0.1:a 10.0.0.2:two"},
	{args: "10.0.0.1:a -j5400 -ppen"},
	{args: "-dd -p pen -j 5400 10.0.0.1:noend"},
	{args: "-p pen -j 99999 10.0.0.1:b"},
	{args: "-p empty 10.0.0.1:a"},
	{args: "-p pen 10.0.0.1:empty"},
	{args: "-p pen -j 5400 10.0.0.1:garbage"},
	{args: "-p pen www1:a"},
	{args: "-p pen -j 5400 -t 0 10.0.0.1:noend"},
	{args: "-p tomorrow-pen -j 5400 -t 100000 10.0.0.1:noend"},
	{args: "-p pen -j 5400 -t 7200 10.0.0.1:noend", zone: "Europe/Helsinki"},
	{args: "-p pen -j 5400 -t -18000 10.0.0.1:noend", zone: "America/New_York"},
	{args: "-p pen 10.0.0.1:missing"},
	{args: "-p missing 10.0.0.1:a"},
	{args: "-p pen 10.0.0.1"},
	{args: "10.0.0.1:a"},
	{args: ""},
	{args: "-p pen"},
	{args: "-a x -p pen 10.0.0.1:a"},
	{args: "-p special-pen -j 5400 10.0.0.1:long", row: "mergelogs-long", c: "10.0.0.1", ours: "192.0.2.1"},
	{args: "-p special-pen -j 5400 10.0.0.1:escaped", row: "mergelogs-escapes", c: "10.0.0.1", ours: "192.0.2.2"},
	{args: "-p pen -j 5400 10.0.0.1:norest", row: "mergelogs-lines", c: "", ours: "192.0.2.1"},
	{args: "-c -p pen 10.0.0.1:baddate", row: "mergelogs-lines", c: "192.0.2.1", ours: ""},
	{args: "-p special-pen -j 5400 ::1:ipv6", row: "mergelogs-ipv6", c: "exit 1", ours: "192.0.2.6"},
	{args: "-p tomorrow-pen 10.0.0.1:noend", row: "mergelogs-window", c: "192.0.2.1", ours: "10.0.0.1"},
	{args: "-c -p zone-pen 10.0.0.1:noend", zone: "Asia/Tokyo", row: "mergelogs-zone", c: "192.0.2.9", ours: "192.0.2.1"},
	{args: "-p pen :noend", row: "mergelogs-errors", c: "", ours: "exit 1"},
	{args: "-r rejects -p pen 10.0.0.1:noend", row: "mergelogs-errors", c: "usage", ours: "exit 1"},
	{args: "-j x -p pen -t 0 10.0.0.1:empty", row: "mergelogs-errors", c: "", ours: "exit 1"},
}

// hour finds the hours in the output. C Pen may be off by one, since it does not tell
// mktime whether daylight saving time applies (row mergelogs-hour).
var hour = regexp.MustCompile(`(\[\d\d/\w{3}/\d{4}:)\d\d(:\d\d:\d\d \+0000\])`)

// TestMergelogsDifferential merges the same logs with Debian's mergelogs and with ours.
func TestMergelogsDifferential(t *testing.T) {
	rows := lab.Document(t, "docs/differences.md")
	dir := t.TempDir()
	for name, text := range mergeFiles {
		lab.WriteFile(t, filepath.Join(dir, name), text)
	}
	for _, m := range mergeCases {
		c, ours := m.run(t, cMergelogs, dir), m.run(t, lab.Program(t, "mergelogs"), dir)
		if m.row != "" {
			c, ours = firstWords(c), firstWords(ours)
		}
		step{m.args, m.row, m.c, m.ours}.check(t, c, ours, rows)
	}
}

// run returns the output, or the exit code if that is not 0.
func (m mergeCase) run(t *testing.T, program, dir string) string {
	t.Helper()
	cmd := exec.Command(program, strings.Fields(m.args)...)
	cmd.Dir = dir
	zone := m.zone
	if zone == "" {
		zone = "UTC"
	}
	cmd.Env = append(os.Environ(), "TZ="+zone)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && len(out) == 0 && len(exit.Stderr) > 0 {
		return "exit 1"
	}
	if strings.HasPrefix(strings.ToLower(string(out)), "usage: ") {
		return "usage"
	}
	if err != nil {
		t.Errorf("%s %s: %v, output %q", program, m.args, err, out)
	}
	return hour.ReplaceAllString(string(out), "${1}HH$2")
}

// firstWords returns the first word of each line, which is the client.
func firstWords(out string) string {
	var words []string
	for line := range strings.Lines(out) {
		if out == "exit 1" {
			return out
		}
		first, _, _ := strings.Cut(line, " ")
		words = append(words, first)
	}
	return strings.Join(words, " ")
}
