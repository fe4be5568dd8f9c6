package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxClients bounds the client table, which takes 4 bytes for each place at
// once and about 110 for each client.
const maxClients = 10_000_000

// balances are the words of the balance verb.
var balances = []string{"roundrobin", "leastconn", "p2c", "random", "hash", "maglev", "first", "least_time"}

// bounded are those that may be told how much more than its share a server gets.
var bounded = []string{"hash", "maglev"}

// maxPrefix are the lengths of whole addresses.
const maxPrefix4, maxPrefix6 = 32, 128

// defaultPrefix6 is the network that one client has: with IPv6 it has as many
// addresses as it likes.
const defaultPrefix6 = 64

// balancing are the verbs of how a server is chosen.
func balancing() []Verb {
	flagOf := func(name, short, help string, field func(*Service) *bool) Verb {
		return Verb{
			Name: name, Short: short, Long: name, Negatable: true, Level: Operate, saved: always, mode: true, does: plain(flag(), field), Help: help,
			Example: name, See: "mode balance",
		}
	}
	prio := flagOf("prio", "", "choose the server with the lowest prio", func(s *Service) *bool { return &s.Prio })
	prio.saved = lastly
	return []Verb{
		{
			Name: "balance", Args: "[" + strings.Join(balances, "|") + " [bound FACTOR] [per datagram]]", Long: "balance", Negatable: true,
			Level: Operate, none: "off",
			does:    on(setBalance, saveBalance),
			Help:    "how a new client's server is chosen; weights count",
			More:    "bound, for hash and maglev, gives no server more than FACTOR times its share. per datagram, for UDP, chooses a server for each datagram.",
			Example: "balance maglev bound 1.25", See: "mode hash prio roundrobin weight",
		},
		flagOf("hash", "h", "choose a new client's server by its address", func(s *Service) *bool { return &s.Hash }),
		prio,
		flagOf("roundrobin", "r", "do not use the client table to choose", func(s *Service) *bool { return &s.RoundRobin }),
		flagOf("stubborn", "s", "no failover: if the chosen server is not there, close", func(s *Service) *bool { return &s.Stubborn }),
		flagOf("weight", "W", "choose the server with the fewest connections for its weight", func(s *Service) *bool { return &s.Weight }),
		{
			Name: "mode", Kind: Question, Level: View, does: on(nil, func(s *Service) []string { return words(s.Mode()) }),
			Help: "show the flags by which a server is chosen", Example: "mode", See: "hash prio roundrobin stubborn weight",
		},
		{
			Name: "slow_start", Long: "slow-start", Level: Operate,
			does: plain(period(0), func(s *Service) *time.Duration { return &s.SlowStart }),
			Help: "how long a server that comes back gets less than its share", Example: "slow_start 30s",
		},
		{
			Name: "rebalance", Long: "rebalance", Level: Operate,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.Rebalance }),
			Help: "connections a second to close because their client belongs elsewhere", More: "0: none.", Example: "rebalance 10", See: "balance",
		},
	}
}

// remembering are the verbs of the client table.
func remembering() []Verb {
	return []Verb{
		{
			Name: "tracking", Short: "T", Long: "tracking", Level: Operate, saved: always,
			does: plain(period(0), func(s *Service) *time.Duration { return &s.Tracking }),
			Help: "how long a client is remembered; 0: for ever", Example: "tracking 1h", See: "clients_max roundrobin",
		},
		{
			Name: "tracking_prefix", Args: "[IPV4 [IPV6]]", Long: "tracking-prefix", Level: Operate,
			does: on(setPrefix, func(s *Service) []string { return words(prefix(s)) }),
			Help: "lengths of the networks whose clients count as one", Example: "tracking_prefix 24 56", See: "tracking",
		},
		{
			Name: "clients_max", Short: "c", Long: "clients", Level: Admin,
			does: plain(number(1, maxClients), func(s *Service) *int { return &s.ClientsMax }),
			Help: "clients that are remembered", Example: "clients_max 100000", See: "tracking",
		},
		{
			Name: "table", Long: "table", Negatable: true, Level: Admin, does: plain(name(), func(s *Service) *string { return &s.Table }),
			Help: "client table to share with the services that name the same one", Example: "table web", See: "table_file",
		},
		{
			Name: "table_file", Long: "table-file", Negatable: true, Level: Local,
			does: plain(word("FILE"), func(s *Service) *string { return &s.TableFile }),
			Help: "file that keeps the client table over a restart", Example: "table_file /var/lib/pen/clients", See: "table",
		},
	}
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
	line := s.Balance
	if s.Bound > 0 {
		line += " bound " + strconv.FormatFloat(s.Bound, 'g', -1, 64)
	}
	if s.PerDatagram {
		line += " per datagram"
	}
	return words(line)
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
