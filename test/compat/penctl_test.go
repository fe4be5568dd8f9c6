package compat_test

import (
	"bytes"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// Our penctl speaks to C Pen, also by TCP.
func TestPenctlWithCPen(t *testing.T) {
	control, listen := testenv.Unused(t), testenv.Unused(t)
	lab.Start(t, control, cPen, "-f", "-X", "-O", "poll", "-u", "root", "-C", control, listen, "127.0.0.1:9", "127.0.0.2:9:5")
	testenv.Eventually(t, "C Pen answers", func() bool {
		code, _, _ := penctl(t, control, "pid")
		return code == 0
	})
	for _, c := range []struct{ command, want string }{
		{"servers", "0 addr 127.0.0.1 port 9 conn 0 max 0 hard 0 weight 0 prio 0 sx 0 rx 0\n" +
			"1 addr 127.0.0.2 port 9 conn 0 max 5 hard 0 weight 0 prio 0 sx 0 rx 0\n"},
		{"mode", "no hash no roundrobin no stubborn no weight no prio\n"},
		{"blacklist 17", "17\n"},
		{"tarpit_acl 3", "tarpit_acl = 3"},
		{"nonsense", "do_cmd: ignoring command starting with 'nonsense'\n"},
		{"ascii", ""},
		{"exit", ""},
	} {
		code, stdout, stderr := penctl(t, append([]string{control}, strings.Fields(c.command)...)...)
		if code != 0 || stdout != c.want || stderr != "" {
			t.Errorf("%s: got %d, %q, %q", c.command, code, stdout, stderr)
		}
	}
}

// penctl runs our penctl.
func penctl(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(lab.Program(t, "penctl"), args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
