package health

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"pen/internal/check"
	"pen/internal/testenv"
)

// script writes a program of the operator's.
func script(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "check")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestPrograms(t *testing.T) {
	testenv.CheckLeaks(t)
	t.Setenv("SECRET", "x")
	k := Key{Addr: netip.MustParseAddrPort("[2001:db8::1]:443")}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text   string
		v      check.Verdict
		reason string
	}{
		{"exec /bin/true", check.Passed, ""},
		{"exec /bin/false", check.Failed, "exit status 1"},
		{"exec " + script(t, "echo fine; echo more"), check.Passed, "fine"},
		{"exec " + script(t, "echo no disk >&2; exit 3"), check.Failed, "exit status 3: no disk"},
		{"exec " + script(t, "kill -9 $$"), check.Failed, "signal: killed"},
		{"exec " + script(t, `echo "$1 $2 $# $PEN_SERVICE $PEN_SERVER_NAME $SECRET $(pwd)"`), check.Passed, "2001:db8::1 443 2 web one,two  /"},
		{"exec " + script(t, `echo "$2"`) + " port 80", check.Passed, "80"},
		{"exec " + script(t, `read x || echo no input`), check.Passed, "no input"},
		{"exec " + script(t, `head -c 10000000 /dev/zero; exit 0`) + " timeout 20", check.Passed, ""},
		{"exec " + script(t, `exec cat /dev/zero`) + " timeout 300ms", check.Failed, "timeout after 300ms"},
		{"exec " + script(t, `trap "" TERM INT; while :; do sleep 1; done`) + " timeout 300ms", check.Failed, "timeout after 300ms"},
		{"exec /nowhere/check", check.Failed, "no such file or directory"},
		{"exec " + plain, check.Failed, "permission denied"},
	} {
		wantOutcome(t, k, tt.text, tt.v, tt.reason)
	}
	wantOutcome(t, Key{Path: "/run/s"}, "exec "+script(t, `echo "$1 $2"`), check.Passed, "/run/s 0")
}

// What a program has started ends with it, at the timeout and without.
func TestWholeGroupEnds(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, tt := range []struct {
		rest, options string
		v             check.Verdict
	}{
		{"exit 0", "timeout 20", check.Passed},
		{"wait", "timeout 500ms", check.Failed},
	} {
		pid := filepath.Join(t.TempDir(), "pid")
		wantOutcome(t, Key{}, "exec "+script(t, "sleep 1000 & echo $! >"+pid+"; "+tt.rest)+" "+tt.options, tt.v, "")
		b, err := os.ReadFile(pid)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, "the child has ended", func() bool { return ended(n) })
	}
}

// ended reports whether a process runs no more; nobody may have waited for it.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(b), ") Z ")
}
