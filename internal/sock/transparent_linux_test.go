package sock

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/testenv"
)

// CAP_NET_RAW is enough, and so is CAP_NET_ADMIN.
func TestCheckTransparentAsRoot(t *testing.T) {
	testenv.CheckLeaks(t)
	for _, tt := range []struct {
		caps uint32
		want string
	}{
		{1 << unix.CAP_NET_RAW, ""},
		{1 << unix.CAP_NET_ADMIN, ""},
		{1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SETUID, "needs root, or the capability CAP_NET_RAW"},
	} {
		testenv.WithCaps(t, tt.caps, func() {
			if err := CheckTransparent(); !hasError(err, tt.want) {
				t.Errorf("capabilities %#x: %v, want %q", tt.caps, err, tt.want)
			}
		})
	}
}

// A socket for any kind of target can be bound to where Local says, and to
// nobody else's address without Transparent.
func TestPrepareTransparentAsRoot(t *testing.T) {
	testenv.CheckLeaks(t)
	testenv.NeedRoot(t)
	for _, tt := range []struct {
		source, server string
		kind           int
		level, opt     int
	}{
		{"192.0.2.177", "127.0.0.1:80", unix.SOCK_STREAM, unix.SOL_IP, unix.IP_TRANSPARENT},
		{"192.0.2.177", "127.0.0.1:80", unix.SOCK_DGRAM, unix.SOL_IP, unix.IP_TRANSPARENT},
		{"2001:db8::177", "[::1]:80", unix.SOCK_STREAM, unix.SOL_IPV6, unix.IPV6_TRANSPARENT},
		{"2001:db8::177", "[::1]:80", unix.SOCK_DGRAM, unix.SOL_IPV6, unix.IPV6_TRANSPARENT},
	} {
		for _, transparent := range []bool{false, true} {
			target := Target{
				Addr: netip.MustParseAddrPort(tt.server), Source: netip.MustParseAddr(tt.source), Transparent: transparent,
			}
			option, late, err := prepareAndBind(target, tt.kind, tt.level, tt.opt)
			var want error
			if !transparent {
				want = unix.EADDRNOTAVAIL
			}
			if !errors.Is(err, want) || (option == 1) != transparent || late != 1 {
				t.Errorf("%+v, kind %d: option %d, bound late %d, %v; want %v, 1, %v", target, tt.kind, option, late, err, transparent, want)
			}
		}
	}
}

// prepareAndBind tries a target on a socket, and reads an option of it and
// whether its port is chosen late.
func prepareAndBind(target Target, kind, level, opt int) (option, late int, err error) {
	family := unix.AF_INET
	if target.Addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	if err := target.prepare(fd); err != nil {
		return 0, 0, err
	}
	if option, err = unix.GetsockoptInt(fd, level, opt); err != nil {
		return 0, 0, err
	}
	if late, err = unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT); err != nil {
		return 0, 0, err
	}
	source, _ := target.local()
	if source.Is6() {
		return option, late, unix.Bind(fd, &unix.SockaddrInet6{Addr: source.As16()})
	}
	return option, late, unix.Bind(fd, &unix.SockaddrInet4{Addr: source.As4()})
}

func TestDialTransparentAsRoot(t *testing.T) {
	testenv.CheckLeaks(t)
	testenv.NeedRoot(t)
	target := Target{Addr: testenv.Echo(t), Timeout: testenv.Limit, Source: netip.MustParseAddr("127.0.0.9"), Transparent: true}
	c, err := Dial(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	if host, _, _ := net.SplitHostPort(testenv.Own(t, c).LocalAddr().String()); host != "127.0.0.9" {
		t.Errorf("connected from %s", host)
	}
	if on := onSocket(t, c, func(fd int) (int, error) { return unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_TRANSPARENT) }); on != 1 {
		t.Error("the option is not set")
	}
	testenv.WithCaps(t, 0, func() {
		c, err := Dial(t.Context(), target)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, unix.EPERM) || !strings.HasPrefix(err.Error(), "transparent: ") {
			t.Errorf("without the privilege: %v", err)
		}
	})
}
