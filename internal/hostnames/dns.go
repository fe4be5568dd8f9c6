package hostnames

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// DNS returns a Lookup that uses the system's DNS servers, or one DNS server, given by its
// address with or without a port. It reads /etc/hosts first.
func DNS(server string) (Lookup, error) {
	// Not the resolver of the C library, which can't be canceled.
	r := &net.Resolver{PreferGo: true}
	if server != "" {
		at, err := serverAddr(server)
		if err != nil {
			return nil, err
		}
		r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, at.String())
		}
	}
	return func(ctx context.Context, addr netip.Addr) (string, error) { return lookup(ctx, r, addr) }, nil
}

func serverAddr(server string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(server); err == nil {
		return at, nil
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(server, "["), "]"))
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is no DNS server, want its address, or ADDRESS:PORT", server)
	}
	return netip.AddrPortFrom(addr, 53), nil
}

// lookup returns the alphabetically first acceptable name: DNS has no order of its own.
func lookup(ctx context.Context, r *net.Resolver, addr netip.Addr) (string, error) {
	names, err := r.LookupAddr(ctx, addr.String())
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".")
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !acceptable(name) })
	if len(names) > 0 {
		return slices.Min(names), nil
	}
	// There was an answer, without an acceptable name.
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && !dns.IsTimeout && !dns.IsTemporary && ctx.Err() == nil {
		return "", nil
	}
	return "", err
}
