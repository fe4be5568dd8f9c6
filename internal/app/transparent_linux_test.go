package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/config"
	"pen/internal/testenv"
)

// Without the privilege transparent mode is an error, at the start and later,
// and changes nothing.
func TestTransparentNeedsPrivilegeAsRoot(t *testing.T) {
	testenv.CheckLeaks(t)
	const lacking = "transparent: needs root, or the capability CAP_NET_RAW"
	file := filepath.Join(t.TempDir(), "pen.conf")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("blacklist 20\n")
	var a *App
	testenv.WithCaps(t, 0, func() {
		if _, err := New(parse(t, "--transparent", "127.0.0.1:0", "127.0.0.1:1"), quiet(t)); err == nil || err.Error() != lacking {
			t.Errorf("New: %v, want %s", err, lacking)
		}
		a = start(t, "-F", file, "127.0.0.1:0", named(t, "one"))
		before := config.Print(a.Config())
		wrong := lacking + "; start Pen again with transparent set"
		if err := a.Apply(command(t, "transparent on")); err == nil || err.Error() != wrong {
			t.Errorf("transparent: %v, want %s", err, wrong)
		}
		write("blacklist 40\ntransparent\n")
		if err := a.Reload(); err == nil || !strings.Contains(err.Error(), "nothing was changed: "+wrong) {
			t.Errorf("reload: %v, want %s", err, wrong)
		}
		if got := config.Print(a.Config()); got != before {
			t.Errorf("something has changed:\n%s", got)
		}
		if err := a.Apply(command(t, "no transparent")); err != nil {
			t.Errorf("no transparent: %v", err)
		}
	})
	if a == nil {
		t.FailNow()
	}
	if got := visit(t, a.Addr()); got != "one" {
		t.Errorf("answer %q", got)
	}
	testenv.WithCaps(t, 1<<unix.CAP_NET_RAW, func() {
		if err := a.Apply(command(t, "transparent on")); err != nil || !a.Config().Services[0].Transparent {
			t.Errorf("with the privilege: %v", err)
		}
	})
}
