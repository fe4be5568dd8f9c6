package edge

import (
	"strings"

	"pen/internal/wire"
)

// Routes say where a connection goes by what its ClientHello asks for. The most
// exact one counts: the name itself, then the longest pattern that it fits, then
// the first protocol of the client for which there is a route, then the default.
// The zero value has none. It is not changed once it is in use.
type Routes[T any] struct {
	names     map[string]T // exact names
	suffixes  map[string]T // ".example.com" of *.example.com, "" of *
	protocols map[string]T
	others    *T
}

// Add adds a route by "sni", "alpn" or, without a pattern, "default". A pattern
// of names is one name in lower case, *.NAME for all those below it, or *.
func (r *Routes[T]) Add(by, pattern string, to T) {
	switch suffix, wild := strings.CutPrefix(pattern, "*"); {
	case by == "default":
		r.others = &to
	case by == "alpn":
		put(&r.protocols, pattern, to)
	case wild:
		put(&r.suffixes, suffix, to)
	default:
		put(&r.names, pattern, to)
	}
}

func put[T any](m *map[string]T, key string, to T) {
	if *m == nil {
		*m = map[string]T{}
	}
	(*m)[key] = to
}

// Find returns where a connection goes; hello is nil for one that does not begin
// with TLS. It reports false where no route says.
func (r *Routes[T]) Find(hello *wire.Hello) (to T, ok bool) {
	if hello != nil {
		if to, ok = r.byName(hello.Name); ok {
			return to, true
		}
		for _, p := range hello.Protocols {
			if to, ok = r.protocols[p]; ok {
				return to, true
			}
		}
	}
	if r.others != nil {
		return *r.others, true
	}
	return to, false
}

func (r *Routes[T]) byName(name string) (to T, ok bool) {
	if name == "" {
		return to, false
	}
	if to, ok = r.names[name]; ok {
		return to, true
	}
	for rest := name; ; {
		dot := strings.IndexByte(rest, '.')
		if dot < 0 {
			to, ok = r.suffixes[""]
			return to, ok
		}
		if to, ok = r.suffixes[rest[dot:]]; ok {
			return to, true
		}
		rest = rest[dot+1:]
	}
}
