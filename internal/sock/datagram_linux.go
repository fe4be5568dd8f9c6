package sock

import (
	"encoding/binary"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ControlSize is how many bytes of control data come with a datagram.
const ControlSize = 128

// prepareDatagram sets the options of a listener: a long queue, beyond the
// system's limit if we may, and control data with every datagram.
func prepareDatagram(fd int, local net.IP) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
		return err
	}
	if !local.IsUnspecified() {
		return nil
	}
	return setAsked(fd, local.To4() == nil)
}

// setAsked has the kernel tell the address that a datagram was sent to. An
// IPv6 socket that takes IPv4 as well tells that in IPv6's form.
func setAsked(fd int, ipv6 bool) error {
	if ipv6 {
		return unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}
	return unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1)
}

// ParseControl understands the control data that came with a datagram: the
// address of this machine that it was sent to (ip(7) IP_PKTINFO, ipv6(7)
// IPV6_PKTINFO), the zero one if that is not told, and how many datagrams the
// socket has lost so far because its queue was full (socket(7) SO_RXQ_OVFL;
// the count wraps). It allocates nothing.
func ParseControl(control []byte) (asked netip.Addr, lost uint32) {
	for len(control) >= unix.CmsgLen(0) {
		h, data, rest, err := unix.ParseOneSocketControlMessage(control)
		switch {
		case err != nil:
			return asked, lost
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			lost = binary.NativeEndian.Uint32(data)
		case h.Level == unix.SOL_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			asked = netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst, behind the interface
		case h.Level == unix.SOL_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			asked = netip.AddrFrom16([16]byte(data[:16])) // ipi6_addr
		}
		control = rest
	}
	return asked, lost
}

// FromAsked returns the control data with which an answer is sent from that
// address, or nil for the zero one.
func FromAsked(asked netip.Addr) []byte {
	switch {
	case !asked.IsValid():
		return nil
	case asked.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: asked.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: asked.As16()})
}

// bindAnyName gives a Unix socket a name of the kernel's choice, so that it can
// be answered (unix(7), autobind).
func bindAnyName(fd int) error { return unix.Bind(fd, &unix.SockaddrUnix{}) }
