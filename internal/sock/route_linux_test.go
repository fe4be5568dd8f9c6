package sock

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// connects tries both ways to connect to a server, in a network namespace, and
// returns their errors.
func connects(t *testing.T, n *testenv.Netns, server string) (errs [2]error) {
	t.Helper()
	target := Target{Addr: netip.MustParseAddrPort(server), Timeout: testenv.Limit}
	err := n.In(func() error {
		c, err := Dial(context.Background(), target)
		if err == nil {
			c.Close()
		}
		errs[0] = err
		fd, done, err := Connect(target)
		if err == nil && !done {
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(testenv.Limit/time.Millisecond))
			err = target.Failure(fd)
		}
		if fd >= 0 {
			unix.Close(fd)
		}
		errs[1] = err
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return errs
}

// A network of this machine that is down is nothing that a server has done. A
// host that does not answer there is, and a router's word counts.
func TestUnreachableAsRoot(t *testing.T) {
	lb, other := testenv.NewNetns(t), testenv.NewNetns(t)
	wantLocal := func(what, server string, local bool, errno syscall.Errno) {
		t.Helper()
		for i, err := range connects(t, lb, server) {
			if !errors.Is(err, errno) || IsLocal(err) != local || errors.Is(err, ErrNoRoute) != local {
				t.Errorf("%s, %s: %v, local %v; want %v and %v", what, []string{"Dial", "Connect"}[i], err, IsLocal(err), errno, local)
			}
		}
	}
	wantLocal("no network", "192.0.2.2:80", true, syscall.ENETUNREACH)
	wantLocal("no network", "[2001:db8::2]:80", true, syscall.ENETUNREACH)
	lb.Link(t, "eth0", other, "eth0")
	lb.Address(t, "eth0", "192.0.2.1/24", "2001:db8::1/64")
	for _, v := range []string{"ipv4", "ipv6"} { // ARP and its like give up soon
		lb.Sysctl(t, v+"/neigh/eth0/retrans_time_ms", "10")
	}
	wantLocal("no such host", "192.0.2.2:80", false, syscall.EHOSTUNREACH)
	wantLocal("no such host", "[2001:db8::2]:80", false, syscall.EHOSTUNREACH)
	wantLocal("no default route", "198.51.100.1:80", true, syscall.ENETUNREACH)
	lb.Run(t, "ip", "route", "add", "unreachable", "198.51.100.0/24")
	wantLocal("a route that says no", "198.51.100.1:80", true, syscall.EHOSTUNREACH)
	lb.Run(t, "ip", "link", "set", "eth0", "down")
	wantLocal("link down", "192.0.2.2:80", true, syscall.ENETUNREACH)
}

// A router that knows no way is not this machine.
func TestUnreachableByARouterAsRoot(t *testing.T) {
	lb, router := testenv.NewNetns(t), testenv.NewNetns(t)
	lb.Link(t, "eth0", router, "eth0")
	lb.Address(t, "eth0", "192.0.2.1/24")
	router.Address(t, "eth0", "192.0.2.9/24")
	router.Sysctl(t, "ipv4/ip_forward", "1")
	lb.Run(t, "ip", "route", "add", "default", "via", "192.0.2.9")
	for i, err := range connects(t, lb, "198.51.100.1:80") {
		if !errors.Is(err, syscall.ENETUNREACH) || IsLocal(err) {
			t.Errorf("%d: %v, local %v", i, err, IsLocal(err))
		}
	}
}
