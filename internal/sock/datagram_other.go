//go:build !linux

package sock

import (
	"errors"
	"net"
	"net/netip"
)

// ControlSize is how many bytes of control data come with a datagram.
const ControlSize = 0

func prepareDatagram(int, net.IP) error { return nil }

// ParseControl does not know here: answers come from the address that the
// kernel chooses.
func ParseControl([]byte) (asked netip.Addr, lost uint32) { return netip.Addr{}, 0 }

// FromAsked has nothing to say here.
func FromAsked(netip.Addr) []byte { return nil }

func bindAnyName(int) error {
	return errors.New("datagrams to a Unix socket are not possible on this system")
}
