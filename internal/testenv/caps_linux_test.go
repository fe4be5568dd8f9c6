package testenv

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Capabilities are those of one thread.
func TestWithCapsAsRoot(t *testing.T) {
	caps := func() (effective uint32) {
		OnThread(func() { effective = effectiveCaps(t) })
		return effective
	}
	before := caps()
	var within uint32
	WithCaps(t, 1<<unix.CAP_NET_RAW, func() { within = effectiveCaps(t) })
	if within != 1<<unix.CAP_NET_RAW {
		t.Errorf("capabilities %#x, want CAP_NET_RAW only", within)
	}
	if after := caps(); after != before {
		t.Errorf("capabilities afterwards %#x, before %#x", after, before)
	}
}

func effectiveCaps(t *testing.T) uint32 {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Error(err)
	}
	return data[0].Effective
}
