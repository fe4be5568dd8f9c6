package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// balances are the words of the balance verb.
var balances = []string{"roundrobin", "leastconn", "p2c", "random", "hash", "maglev", "first", "least_time"}

// bounded are those that may be told how much more than its share a server gets.
var bounded = []string{"hash", "maglev"}

// An Outlier is when a server is left alone because of what clients meet there.
// The zero Outlier is Pen's rule: after one failed connect, for the time that
// blacklist says.
type Outlier struct {
	Failures int           // failed connects in a row; 0: one
	Resets   int           // connections in a row that it ends without a byte; 0: not looked at
	Within   time.Duration // how soon such an end is early
	Max      time.Duration // the time doubles with each time in a row, up to this; 0: it does not
	Share    int           // percent of the servers that may be away because of it; 0: all
}

// earlyEnd is how soon a connection has to end to be an early end, unless the
// user says otherwise.
const earlyEnd = time.Second

// maxPrefix are the lengths of whole addresses.
const maxPrefix4, maxPrefix6 = 32, 128

// defaultPrefix6 is the network that one client has: with IPv6 it has as many
// addresses as it likes.
const defaultPrefix6 = 64

// balancing are the verbs of choosing servers, beyond Pen's.
func balancing() []Verb {
	return []Verb{
		asked(row(Verb{
			Name: "balance", Args: strings.Join(balances, "|") + " [bound FACTOR] [per datagram]", Long: "balance", several: true, Negatable: true, most: 5, Help: "how a new client's server is chosen, weights observed; with bound, hash and maglev give no server more than FACTOR of its share; per datagram, for UDP, chooses for each one",
		}, on[Service]{
			set: setBalance, save: saveBalance,
		})),
		row(Verb{
			Name: "tracking_prefix", Args: "[IPV4 [IPV6]]", Long: "tracking-prefix", several: true, most: 2, Help: "lengths of the networks whose clients count as one, such as 24 56",
		}, on[Service]{
			set: setPrefix, save: savePrefix, show: func(s *Service) string { return prefix(s) },
		}),
		period("slow_start", "", "slow-start", "how long a server that comes back gets less than its share", 0, func(s *Service) *time.Duration { return &s.SlowStart }),
		period("max_age", "", "max-age", "connections are ended after this, or up to a tenth earlier; 0: never", 0, func(s *Service) *time.Duration { return &s.MaxAge }),
		integer("rebalance", "", "rebalance", "connections a second that may be ended because their client belongs to another server; 0: none", 0, maxInt, func(s *Service) *int { return &s.Rebalance }),
		asked(row(Verb{
			Name: "outlier", Args: "KEY VALUE...", Long: "outlier", several: true, Negatable: true, most: many, Help: "when clients' experience has a server left alone: failures N, resets N, within TIME, max TIME, share PERCENT",
		}, on[Service]{
			set: setOutlier, save: saveOutlier,
		})),
		integer("panic", "", "panic", "percent of the servers; if fewer take clients, checks and failures are not believed; 0: never", 0, 100, func(s *Service) *int { return &s.Panic }),
		row(Verb{
			Name: "on_down", Args: "[keep|close]", Long: "on-down", most: 1, Help: "what becomes of the connections of a server that checks find down",
		}, on[Service]{
			set: func(s *Service, _ bool, args []string) error {
				if args[0] != "keep" && args[0] != "close" {
					return noneOf(args[0], "keep", "close")
				}
				s.CloseDown = args[0] == "close"
				return nil
			}, show: onDown, save: func(s *Service) []string { return []string{"on_down " + onDown(s)} },
		}),
	}
}

func onDown(s *Service) string {
	if s.CloseDown {
		return "close"
	}
	return "keep"
}

func setBalance(s *Service, no bool, args []string) error {
	if no {
		s.Balance, s.Bound, s.PerDatagram = "", 0, false
		return nil
	}
	word := args[0]
	if !slices.Contains(balances, word) {
		return noneOf(word, balances...)
	}
	bound, each := 0.0, false
	if n := len(args) - 2; n > 0 && args[n] == "per" && args[n+1] == "datagram" {
		args, each = args[:n], true
	}
	if len(args) > 1 {
		if args[1] != "bound" || len(args) != 3 {
			return fmt.Errorf("want balance %s, or balance %s bound FACTOR, and after that per datagram or nothing", word, word)
		}
		if !slices.Contains(bounded, word) {
			return fmt.Errorf("%s has no bound, want %s", word, strings.Join(bounded, " or "))
		}
		var err error
		if bound, err = strconv.ParseFloat(args[2], 64); err != nil || !(bound > 1 && bound <= 100) {
			return fmt.Errorf("bound %q: want a factor above 1, such as 1.25", args[2])
		}
	}
	s.Balance, s.Bound, s.PerDatagram = word, bound, each
	return nil
}

func saveBalance(s *Service) []string {
	if s.Balance == "" {
		return []string{"no balance"}
	}
	line := "balance " + s.Balance
	if s.Bound > 0 {
		line += " bound " + strconv.FormatFloat(s.Bound, 'g', -1, 64)
	}
	if s.PerDatagram {
		line += " per datagram"
	}
	return []string{line}
}

// Prefixes are the lengths of the networks whose clients count as one.
func (s Service) Prefixes() (ipv4, ipv6 int) {
	return cmp.Or(s.Prefix4, maxPrefix4), cmp.Or(s.Prefix6, maxPrefix6)
}

func prefix(s *Service) string {
	ipv4, ipv6 := s.Prefixes()
	return fmt.Sprintf("%d %d", ipv4, ipv6)
}

func setPrefix(s *Service, _ bool, args []string) error {
	ipv4, err := parseInt("prefix", args[0], 1, maxPrefix4)
	if err != nil {
		return err
	}
	ipv6 := defaultPrefix6
	if len(args) > 1 {
		if ipv6, err = parseInt("prefix", args[1], 1, maxPrefix6); err != nil {
			return err
		}
	}
	s.Prefix4, s.Prefix6 = ipv4%maxPrefix4, ipv6%maxPrefix6
	return nil
}

func savePrefix(s *Service) []string { return []string{"tracking_prefix " + prefix(s)} }

func setOutlier(s *Service, no bool, args []string) error {
	if no {
		s.Outlier = Outlier{}
		return nil
	}
	o := Outlier{}
	for rest := args; len(rest) > 0; rest = rest[2:] {
		if len(rest) == 1 {
			return fmt.Errorf("%q has no value", rest[0])
		}
		var err error
		switch key, value := rest[0], rest[1]; key {
		case "failures":
			o.Failures, err = parseInt(key, value, 1, maxInt)
		case "resets":
			o.Resets, err = parseInt(key, value, 1, maxInt)
		case "within":
			o.Within, err = ParseDuration(value)
		case "max":
			o.Max, err = ParseDuration(value)
		case "share":
			o.Share, err = parseInt(key, value, 1, 100)
		default:
			err = noneOf(key, "failures", "resets", "within", "max", "share")
		}
		if err != nil {
			return err
		}
	}
	if o.Within > 0 && o.Resets == 0 {
		return errors.New("within is for resets: want resets N within TIME")
	}
	if o.Resets > 0 && o.Within == 0 {
		o.Within = earlyEnd
	}
	s.Outlier = o
	return nil
}

func saveOutlier(s *Service) []string {
	o := s.Outlier
	if o == (Outlier{}) {
		return []string{"no outlier"}
	}
	var b strings.Builder
	b.WriteString("outlier")
	for _, f := range []struct {
		key string
		n   int
	}{{"failures", o.Failures}, {"resets", o.Resets}, {"share", o.Share}} {
		if f.n != 0 {
			fmt.Fprintf(&b, " %s %d", f.key, f.n)
		}
	}
	for _, f := range []struct {
		key string
		d   time.Duration
	}{{"within", o.Within}, {"max", o.Max}} {
		if f.d != 0 {
			fmt.Fprintf(&b, " %s %s", f.key, duration.Format(f.d))
		}
	}
	if b.Len() == len("outlier") {
		return []string{"no outlier"}
	}
	return []string{b.String()}
}
