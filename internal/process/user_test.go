package process

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"pen/internal/testenv"
)

const plainUser = "nobody"

// manyThreads makes several threads, which stay until the process ends.
func manyThreads() {
	for range 8 {
		started := make(chan bool)
		go func() {
			runtime.LockOSThread()
			close(started)
			select {}
		}()
		<-started
	}
}

func roleSwitch() int {
	manyThreads()
	if err := Confine("", os.Getenv("USERNAME"), os.Getenv("NETRAW") != ""); err != nil {
		return fail("%v", err)
	}
	return printThreads()
}

func printThreads() int {
	files, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		return fail("%v", err)
	}
	for _, name := range files {
		status, err := os.ReadFile(name)
		if err != nil {
			return fail("%v", err)
		}
		for line := range strings.Lines(string(status)) {
			switch key, value, _ := strings.Cut(line, ":"); key {
			case "Uid", "Gid", "Groups", "CapPrm", "CapEff":
				fmt.Printf("%s=%s;", key, strings.Join(strings.Fields(value), " "))
			}
		}
		fmt.Println()
	}
	return 0
}

func roleConfine() int {
	if err := Confine(os.Getenv("ROOT"), plainUser, false); err != nil {
		return fail("%v", err)
	}
	for _, dir := range []string{"/", "../../..", "."} {
		names, err := os.ReadDir(dir)
		if err != nil {
			return fail("%v", err)
		}
		for _, n := range names {
			fmt.Println(dir, n.Name())
		}
	}
	fmt.Println(os.Getuid())
	return 0
}

// roleUnprivileged tries to become root after having been somebody else.
func roleUnprivileged() int {
	if err := Confine("", plainUser, false); err != nil {
		return fail("%v", err)
	}
	if err := syscall.Setuid(0); err == nil {
		return fail("root again")
	}
	if err := Confine("", "root", false); err == nil {
		return fail("root again")
	} else {
		fmt.Println(err)
	}
	return 0
}

func TestSwitchUserAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	checkThreads(t, inRole(t, "switch", "USERNAME="+plainUser), strings.Repeat("0", 16))
}

// checkThreads runs the role "switch": all of its threads are the user's, have
// no groups, and these capabilities.
func checkThreads(t *testing.T, cmd *exec.Cmd, caps string) {
	t.Helper()
	u, err := user.Lookup(plainUser)
	if err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: []uint32{0, 1, 2}}}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	four := func(id string) string { return strings.Join([]string{id, id, id, id}, " ") }
	want := fmt.Sprintf("Uid=%s;Gid=%s;Groups=;CapPrm=%s;CapEff=%s;", four(u.Uid), four(u.Gid), caps, caps)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) < 9 {
		t.Errorf("only %d threads", len(lines))
	}
	for _, got := range lines {
		if got != want {
			t.Errorf("a thread has %q, want %q", got, want)
		}
	}
}

func TestNoWayBackAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	out, err := inRole(t, "dropped-to").Output()
	if err != nil || !strings.Contains(string(out), "run as user root: ") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestConfineAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "marker"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	u, err := user.Lookup(plainUser)
	if err != nil {
		t.Fatal(err)
	}
	out, err := inRole(t, "confine", "ROOT="+root).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "/ marker\n../../.. marker\n. marker\n" + u.Uid + "\n"
	if string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestUnknownNamesChangeNothing(t *testing.T) {
	if err := Confine("", "no-such-user", false); err == nil || !strings.Contains(err.Error(), "no-such-user") {
		t.Errorf("got %v", err)
	}
	if err := Confine("/no/such/folder", "", false); err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
		t.Errorf("got %v", err)
	}
	if err := Confine("", "", false); err != nil {
		t.Error(err)
	}
}
