package compat_test

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

// C Pen's penctl works by TCP as well. From this machine it may operate servers;
// control_level allows less or more, and a token can be sent as the first words of a
// command. No level lets it write files by TCP.
func TestControlPort(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	lab.WriteFile(t, token, "0123456789abcdef0123\n")
	if err := os.Chmod(token, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		line  string
		auth  []string
		level string
	}{
		{"control_level view", nil, "view"},
		{"no control_level", nil, "operate"},
		{"control_level admin", nil, "admin"},
		{"control_token admin " + token, []string{"auth", "0123456789abcdef0123"}, "admin"},
	} {
		control := testenv.Unused(t)
		_, port, _ := net.SplitHostPort(control)
		lab.Start(t, control, lab.Program(t, "pen"), "-f", "-u", "root", "-O", tt.line, "-C", port, testenv.Unused(t), "127.0.0.1:9")
		ask := func(command string) string {
			out, err := exec.Command(cPenctl, append(append([]string{control}, tt.auth...), strings.Fields(command)...)...).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v", command, err)
			}
			return string(out)
		}
		for command, level := range map[string]string{"timeout": "view operate admin", "timeout 5": "operate admin", "client_acl 5": "admin"} {
			reply := ask(command)
			if may := strings.HasSuffix(reply, "5\n") && !strings.Contains(reply, " "); may != slices.Contains(strings.Fields(level), tt.level) {
				t.Errorf("%s: %s: %q", tt.line, command, reply)
			}
		}
		if reply := ask("write " + token); !strings.HasPrefix(reply, "write: only by a Unix control socket") {
			t.Errorf("%s: write: %q", tt.line, reply)
		}
	}
}
