package process

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// roleEnv names what this test program does instead of testing when a test
// starts it anew, for what can be done only once or to a whole process.
const roleEnv = "PROCESS_TEST_ROLE"

var roles = map[string]func() int{
	"ready":      roleReady,
	"fail":       roleFail,
	"usage":      roleUsage,
	"killed":     roleKilled,
	"orphan":     roleOrphan,
	"switch":     roleSwitch,
	"confine":    roleConfine,
	"syslog":     roleSyslog,
	"raise":      roleRaise,
	"dropped-to": roleUnprivileged,
}

func TestMain(m *testing.M) {
	if name := os.Getenv(roleEnv); name != "" {
		os.Exit(roles[name]())
	}
	os.Exit(m.Run())
}

// inRole is this program in that role.
func inRole(t *testing.T, name string, env ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return programInRole(t, exe, name, env...)
}

func programInRole(t *testing.T, exe, name string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(append(os.Environ(), roleEnv+"="+name), env...)
	cmd.Stderr = t.Output()
	return cmd
}

// fail ends a role that went wrong.
func fail(format string, args ...any) int {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	return 99
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
