package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"pen/internal/wire"
)

// A Route gives connections that begin with TLS to another service.
type Route struct {
	By      string // "sni", "alpn" or "default"
	Pattern string // of the name, or a protocol
	Service string
}

// maxRoutes bounds what a slip of the finger costs.
const maxRoutes = 10_000

func setRoute(s *Service, no bool, args []string) error {
	if no && len(args) == 0 {
		s.Routes = nil
		return nil
	}
	r, rest, err := parseRoute(args)
	if err != nil {
		return err
	}
	all := slices.DeleteFunc(slices.Clone(s.Routes), func(o Route) bool { return o.By == r.By && o.Pattern == r.Pattern })
	if !no {
		switch {
		case len(rest) == 0:
			return errors.New("want a service that it leads to")
		case !isName(rest[0]):
			return fmt.Errorf("%q can't be the name of a service", rest[0])
		case len(all) == maxRoutes:
			return fmt.Errorf("there are %d already, want no more", maxRoutes)
		}
		r.Service = rest[0]
		all = append(all, r)
	}
	if len(all) == 0 {
		all = nil
	}
	s.Routes = all
	return nil
}

// parseRoute understands what a route goes by, and returns the words behind.
func parseRoute(args []string) (r Route, rest []string, err error) {
	r.By, rest = args[0], args[1:]
	switch {
	case r.By == "default":
		return r, rest, nil
	case r.By != "sni" && r.By != "alpn":
		return r, rest, noneOf(r.By, "sni", "alpn", "default")
	case len(rest) == 0:
		return r, rest, fmt.Errorf("%s has no value", r.By)
	}
	r.Pattern, rest = rest[0], rest[1:]
	if r.By == "sni" {
		r.Pattern = strings.ToLower(strings.TrimSuffix(r.Pattern, "."))
		if _, ok := wire.HostName(strings.TrimPrefix(r.Pattern, "*.")); !ok && r.Pattern != "*" {
			return r, rest, fmt.Errorf("%q is not the name of a host, want such as www.example.com, *.example.com or *", r.Pattern)
		}
	}
	return r, rest, parseWord(r.Pattern)
}

func saveRoutes(s *Service) []string {
	var lines []string
	for _, r := range s.Routes {
		lines = append(lines, strings.Join(splitWords(r.By+" "+r.Pattern+" "+r.Service), " "))
	}
	return lines
}
