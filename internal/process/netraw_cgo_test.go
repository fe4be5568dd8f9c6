//go:build linux && cgo

package process

import (
	"os"
	"strings"
	"testing"

	"pen/internal/testenv"
)

// With cgo threads can't be treated alike: that is said, and the user stays.
func TestKeepNetRawWithCgoAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	was := os.Getuid()
	err := Confine("", plainUser, true)
	if err == nil || !strings.Contains(err.Error(), "run as user nobody: keep CAP_NET_RAW: ") || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Fatalf("got %v", err)
	}
	if uid := os.Getuid(); uid != was {
		t.Fatalf("the user is %d now", uid)
	}
}
