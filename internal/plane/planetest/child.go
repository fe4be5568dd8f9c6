package planetest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// A child is this test once more, in a process of its own that the test may stop, or
// whose limits it may change.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner // its output
}

// startChild starts the child with a variable in its environment, by which the test
// knows that it is the child. It is killed at the end of the test at the latest.
func startChild(t *testing.T, variable, value string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pattern []string
	for name := range strings.SplitSeq(t.Name(), "/") {
		pattern = append(pattern, "^"+regexp.QuoteMeta(name)+"$")
	}
	c := &child{cmd: exec.Command(exe, "-test.run="+strings.Join(pattern, "/"), "-test.v", "-test.timeout=2m")}
	c.cmd.Env = append(os.Environ(), variable+"="+value)
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.cmd.Stderr = c.cmd.Stdout
	c.lines = bufio.NewScanner(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.cmd.Process.Kill()
		c.cmd.Wait()
	})
	return c
}

// await waits for a line that begins with a text, and returns the rest of the line.
func (c *child) await(t *testing.T, text string) string {
	t.Helper()
	for c.lines.Scan() {
		if rest, ok := strings.CutPrefix(c.lines.Text(), text); ok {
			return rest
		}
	}
	t.Fatalf("the process ended without a line %q", text)
	return ""
}

// wantPass waits until the child has ended, and fails the test unless it passed there.
func (c *child) wantPass(t *testing.T) {
	t.Helper()
	var output strings.Builder
	for c.lines.Scan() {
		fmt.Fprintln(&output, c.lines.Text())
	}
	if err := c.cmd.Wait(); err != nil || !strings.Contains(output.String(), "--- PASS: "+t.Name()) {
		t.Errorf("in a process of its own: %v\n%s", err, output.String())
	}
}
