package process

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/testenv"
)

// Before and after the change of user, all threads are alike. Tests may have
// cgo, with which this can't be done, so the role is played by a program
// without.
func TestKeepNetRawAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	exe := filepath.Join(t.TempDir(), "process.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", exe, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build this test without cgo: %v\n%s", err, out)
	}
	// CAP_NET_RAW is number 13.
	checkThreads(t, programInRole(t, exe, "switch", "USERNAME="+plainUser, "NETRAW=1"), "0000000000002000")
	checkThreads(t, programInRole(t, exe, "switch", "USERNAME="+plainUser), strings.Repeat("0", 16))

	// Root has it anyway, and loses nothing.
	out, err := programInRole(t, exe, "switch", "USERNAME=root", "NETRAW=1").Output()
	if err != nil {
		t.Fatal(err)
	}
	if all, err := os.ReadFile("/proc/self/status"); err != nil || !strings.Contains(string(all), "CapEff:\t"+effective(string(out))+"\n") {
		t.Errorf("root has become %s, %v", out, err)
	}
}

// effective returns the first thread's capabilities in effect.
func effective(threads string) string {
	_, caps, _ := strings.Cut(threads, "CapEff=")
	caps, _, _ = strings.Cut(caps, ";")
	return caps
}
