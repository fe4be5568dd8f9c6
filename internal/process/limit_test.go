package process

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

func roleRaise() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fail("%v", err)
	}
	l.Cur = min(64, l.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fail("%v", err)
	}
	got := RaiseNoFile()
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return fail("%v", err)
	}
	fmt.Println(got == uint64(l.Max), l.Cur == l.Max)
	return 0
}

func TestRaiseNoFile(t *testing.T) {
	out, err := inRole(t, "raise").Output()
	if got := strings.TrimSpace(string(out)); err != nil || got != "true true" {
		t.Errorf("%v: %s", err, got)
	}
}
