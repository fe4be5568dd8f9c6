package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// does is what a verb does to a Config, and to the service that the command is
// for. The service is nil for a verb that is about all of Pen.
type does struct {
	Scope  Scope  // what it is about
	Bounds string // which values it may have, if Args does not say
	takes  string // its arguments, if they follow from the kind of its value
	flag   bool   // its value is on or off, and by itself it is on
	// set applies a setting, or checks the arguments of an action or question.
	set func(c *Config, s *Service, no bool, args []string) error
	// try returns the error of set at less cost; nil is set itself.
	try func(c *Config, s *Service, no bool, args []string) error
	// values are what applies, as a command would say it; none where nothing is set.
	values func(c *Config, s *Service) []string
	// save returns the commands that make the setting again, if they do not follow
	// from the values.
	save func(c *Config, s *Service) []string
}

// A subject is what a verb is about. A Config is what the service verb is about:
// the list of services.
type subject interface{ Config | Global | Service }

// of returns the subject of a command.
func of[T subject](c *Config, s *Service) *T {
	switch any((*T)(nil)).(type) {
	case *Config:
		return any(c).(*T)
	case *Global:
		return any(&c.Global).(*T)
	}
	return any(s).(*T)
}

// on is what a verb does to its subject. Either may be nil.
func on[T subject](set func(v *T, no bool, args []string) error, values func(v *T) []string) does {
	var d does
	if set != nil {
		d.set = func(c *Config, s *Service, no bool, args []string) error { return set(of[T](c, s), no, args) }
	}
	switch any((*T)(nil)).(type) {
	case *Config:
		d.Scope = OfServices
	case *Global:
		d.Scope = OfPen
	}
	if values != nil {
		d.values = func(c *Config, s *Service) []string { return values(of[T](c, s)) }
	}
	return d
}

// plain is a setting of one value in one field. "no" makes it the default.
func plain[T subject, V any](k kind[V], field func(*T) *V) does {
	d := on(func(v *T, no bool, args []string) error {
		if no {
			c := Default()
			*field(v) = *field(of[T](&c, &c.Services[0]))
			return nil
		}
		value, err := k.parse(k.noun, strings.Join(args, " "))
		if err == nil {
			*field(v) = value
		}
		return err
	}, func(v *T) []string { return words(k.write(*field(v))) })
	d.Bounds, d.takes, d.flag = k.bounds, "["+k.args+"]", k.flag
	return d
}

// words are a text as a list, which is empty if the text is.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

// A kind is how values of a type are written.
type kind[V any] struct {
	args   string // what stands for one in a manual
	bounds string // which values there are, if that is not said by args
	noun   string // what errors call one, for a setting
	flag   bool
	// parse understands one, which errors call what.
	parse func(what, text string) (V, error)
	// write is the reverse; the value that means nothing is "".
	write func(V) string
}

// flag is on or off; the name alone means on.
func flag() kind[bool] {
	return kind[bool]{
		args: "on|off", flag: true,
		parse: func(_, text string) (bool, error) {
			switch text {
			case "", "on", "yes":
				return true, nil
			case "off", "no":
				return false, nil
			}
			return false, noneOf(text, "on", "off", "yes", "no")
		},
		write: func(on bool) string {
			if on {
				return "on"
			}
			return ""
		},
	}
}

// period is a time of at least so much.
func period(least time.Duration) kind[time.Duration] {
	bounds := ""
	if least > 0 {
		bounds = "at least " + duration.Format(least)
	}
	return kind[time.Duration]{
		args: "TIME", bounds: bounds,
		parse: func(_, text string) (time.Duration, error) {
			d, err := ParseDuration(text)
			if err == nil && d < least {
				err = fmt.Errorf("%q is too short, want at least %s", text, duration.Format(least))
			}
			return d, err
		},
		write: duration.Format,
	}
}

// number is a whole number within bounds.
func number(least, most int) kind[int] {
	bounds := fmt.Sprintf("%d to %d", least, most)
	if most == maxInt {
		bounds = fmt.Sprintf("%d or more", least)
	}
	return kind[int]{
		args: "N", bounds: bounds, noun: "number",
		parse: func(what, text string) (int, error) { return parseInt(what, text, least, most) },
		write: strconv.Itoa,
	}
}

// list is the number of an access list.
func list() kind[int] {
	k := number(0, ACLCount-1)
	k.args, k.noun = "LIST", "list"
	return k
}

// word is a text without spaces; args says what it stands for.
func word(args string) kind[string] {
	return kind[string]{
		args:  args,
		parse: func(_, text string) (string, error) { return text, parseWord(text) },
		write: func(s string) string { return s },
	}
}

// name is a word that names something of the user's.
func name() kind[string] {
	k := word("NAME")
	k.parse = func(_, text string) (string, error) {
		if !isName(text) {
			return "", fmt.Errorf("%q can't be a name, want up to %d letters, digits, or one of _ - .", text, maxName)
		}
		return text, nil
	}
	return k
}

// address is the address of an interface of this machine.
func address() kind[string] {
	k := word("IP")
	k.parse = func(_, text string) (string, error) {
		addr, err := parseAddr(text)
		if err != nil {
			return "", fmt.Errorf("unable to set source address to '%s', want an IPv4 or IPv6 address", text)
		}
		return addr.Unmap().String(), nil
	}
	return k
}

// oneOf is one of some words, each of which stands for a value.
func oneOf[V comparable](known []string, values []V) kind[V] {
	return kind[V]{
		args: strings.Join(known, "|"),
		parse: func(_, text string) (V, error) {
			if i := slices.Index(known, text); i >= 0 {
				return values[i], nil
			}
			return *new(V), noneOf(text, known...)
		},
		write: func(v V) string {
			if i := slices.Index(values, v); i >= 0 {
				return known[i]
			}
			return ""
		},
	}
}

// choice is one of some words. The one that unset names stands for an empty value.
func choice(unset string, known ...string) kind[string] {
	values := slices.Clone(known)
	if i := slices.Index(known, unset); i >= 0 {
		values[i] = ""
	}
	return oneOf(known, values)
}

// wordList is a list, kept as a text, of words that check accepts.
func wordList(args string, check func(string) error) kind[string] {
	k := word(args)
	k.parse = func(_, text string) (string, error) {
		var words []string
		for _, word := range splitWords(text) {
			if err := check(word); err != nil {
				return "", err
			}
			if !slices.Contains(words, word) {
				words = append(words, word)
			}
		}
		all := strings.Join(words, " ")
		if len(all) > maxWord {
			return "", fmt.Errorf("a list of %d bytes, want at most %d", len(all), maxWord)
		}
		return all, nil
	}
	return k
}

func network(word string) error {
	_, err := parseNetwork(word)
	return err
}

func parseNetwork(word string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(word)
	if err != nil || p.Addr().Is4In6() {
		return p, fmt.Errorf("%q is not a network, want such as 192.0.2.0/24 or 2001:db8::/32", word)
	}
	return p.Masked(), nil
}

// A key is a word with a value, of a command that has several: KEY VALUE... S is
// what the values are of.
type key[S any] struct {
	name, args string // args is empty where no value follows
	help       string
	level      Level // that a client of the control socket needs to set it
	set        func(s *S, text string) error
	get        func(s *S) string // empty where it is not written
}

// keyOf is a key of one field. Its zero value is not written.
func keyOf[S any, V comparable](name string, k kind[V], field func(*S) *V) key[S] {
	args := k.args
	if k.flag {
		args = ""
	}
	return key[S]{
		name: name, args: args,
		set: func(s *S, text string) error {
			value, err := k.parse(name, text)
			if err == nil {
				*field(s) = value
			}
			return err
		},
		get: func(s *S) string {
			if *field(s) == *new(V) {
				return ""
			}
			return k.write(*field(s))
		},
	}
}

// keyNames are the names of keys, in their order.
func keyNames[S any](keys []key[S]) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name)
	}
	return out
}

// keyArgs is how a command with keys is written.
func keyArgs[S any](keys []key[S]) string {
	var out []string
	for _, k := range keys {
		out = append(out, "["+strings.TrimSpace(k.name+" "+k.args)+"]")
	}
	return strings.Join(out, " ")
}

// setKeys understands keys with their values.
func setKeys[S any](keys []key[S], s *S, words []string) error {
	for len(words) > 0 {
		i := slices.IndexFunc(keys, func(k key[S]) bool { return k.name == words[0] })
		switch {
		case i < 0:
			return noneOf(words[0], keyNames(keys)...)
		case keys[i].args != "" && len(words) < 2:
			return fmt.Errorf("%q has no value", words[0])
		}
		text, n := "", 1
		if keys[i].args != "" {
			text, n = words[1], 2
		}
		if err := keys[i].set(s, text); err != nil {
			return err
		}
		words = words[n:]
	}
	return nil
}

// keyWords writes the keys that have a value.
func keyWords[S any](keys []key[S], s *S) string {
	var out []string
	for _, k := range keys {
		if value := k.get(s); value != "" {
			if out = append(out, k.name); k.args != "" {
				out = append(out, value)
			}
		}
	}
	return strings.Join(out, " ")
}
