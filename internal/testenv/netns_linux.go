package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// A Netns is a network namespace: interfaces, routes and rules of its own. It has no
// name, so several tests may run at once. The system removes it when the test and the
// programs that were started in it have ended.
type Netns struct{ file *os.File }

// NewNetns makes a network namespace in which only loopback is up. It needs root, and
// the program ip of iproute2.
func NewNetns(t testing.TB) *Netns {
	t.Helper()
	NeedRoot(t)
	n := &Netns{}
	var err error
	OnThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			n.file, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Fatalf("make a network namespace: %v", err)
	}
	t.Cleanup(func() { n.file.Close() })
	n.Run(t, "ip", "link", "set", "lo", "up")
	// Use addresses at once, without a check for duplicates (RFC 4862, 5.4).
	for _, dev := range []string{"all", "default"} {
		n.Sysctl(t, "ipv6/conf/"+dev+"/accept_dad", "0")
	}
	return n
}

// In runs f on a thread that is in the namespace, and returns its error. Sockets that f
// opens and processes that it starts belong to the namespace for good.
func (n *Netns) In(f func() error) error {
	var err error
	OnThread(func() {
		if err = unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("enter a network namespace: %w", err)
			return
		}
		err = f()
	})
	return err
}

// Run runs a program in the namespace and returns what it prints. The program must
// succeed.
func (n *Netns) Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	var out []byte
	err := n.In(func() (err error) {
		out, err = exec.CommandContext(t.Context(), name, args...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%s %q in a network namespace: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// Sysctl sets a variable of the namespace. The name is its path below /proc/sys/net.
func (n *Netns) Sysctl(t testing.TB, name, value string) {
	t.Helper()
	err := n.In(func() error { return os.WriteFile("/proc/sys/net/"+name, []byte(value), 0) })
	if err != nil {
		t.Fatalf("set a variable of a network namespace: %v", err)
	}
}

// Link joins two namespaces by a virtual cable. Its ends are interfaces of the given
// names; both are up.
func (n *Netns) Link(t testing.TB, dev string, peer *Netns, peerDev string) {
	t.Helper()
	end := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), peer.file.Fd())
	n.Run(t, "ip", "link", "add", dev, "type", "veth", "peer", "name", peerDev, "netns", end)
	n.Run(t, "ip", "link", "set", dev, "up")
	peer.Run(t, "ip", "link", "set", peerDev, "up")
}

// Address gives an interface addresses, such as 192.0.2.1/24, and waits until they can
// be used: on a busy machine the system takes its time to see that a link is up.
func (n *Netns) Address(t testing.TB, dev string, prefixes ...string) {
	t.Helper()
	for _, p := range prefixes {
		n.Run(t, "ip", "address", "add", p, "dev", dev)
	}
	Eventually(t, "the addresses of "+dev+" can be used", func() bool {
		return n.Run(t, "ip", "address", "show", "dev", dev, "tentative") == ""
	})
}
