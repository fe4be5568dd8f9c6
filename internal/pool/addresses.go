package pool

import (
	"net/netip"
	"slices"
)

// Has reports whether an address is one of the server's.
func (c Config) Has(addr netip.AddrPort) bool {
	return addr.IsValid() && (addr == c.Addr || slices.Contains(c.Others, addr))
}

// Untried returns the first of a server's addresses that is not among those tried. A
// server has as many as its name resolves to.
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

// Prefer makes one of a server's addresses the first to be tried.
func (p *Pool) Prefer(s *Server, addr netip.AddrPort) {
	i := slices.Index(s.Others, addr)
	if i < 0 || addr == s.Addr {
		return
	}
	s.Others = slices.Clone(s.Others) // it belongs to the configuration
	s.Addr, s.Others[i] = addr, s.Addr
	p.revision++
}
