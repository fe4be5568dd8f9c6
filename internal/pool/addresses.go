package pool

import (
	"net/netip"
	"slices"
)

// Has reports whether an address is one of the server's.
func (c Config) Has(addr netip.AddrPort) bool {
	return addr.IsValid() && (addr == c.Addr || slices.Contains(c.Others, addr))
}

// Untried returns the first address of a server that is not among those tried.
// A server has more than one where its name has.
func (s *Server) Untried(tried []netip.AddrPort) (netip.AddrPort, bool) {
	for i := -1; i < len(s.Others); i++ {
		addr := s.Addr
		if i >= 0 {
			addr = s.Others[i]
		}
		if !slices.Contains(tried, addr) {
			return addr, true
		}
	}
	return netip.AddrPort{}, false
}

// Prefer has a server be tried at one of its addresses first from now on.
func (s *Server) Prefer(addr netip.AddrPort) {
	i := slices.Index(s.Others, addr)
	if i < 0 || addr == s.Addr {
		return
	}
	s.Others = slices.Clone(s.Others) // they are the configuration's
	s.Addr, s.Others[i] = addr, s.Addr
}
