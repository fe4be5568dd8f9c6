package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"pen/internal/duration"
)

// Limits bound what clients may take. 0 is no limit.
type Limits struct {
	ClientConns int     // connections of a client at a time
	ClientRate  float64 // new connections of a client, a second
	Conns       int     // connections of the service at a time
	Rate        float64 // new connections of the service, a second
	ServerRate  float64 // new connections to each server, a second
	// Bandwidth is of the service, ConnBandwidth of each connection: bytes a
	// second, both directions together.
	Bandwidth, ConnBandwidth int64
	// Delay is how long a client above a rate may be made to wait instead of
	// being refused.
	Delay time.Duration
}

// limitKeys are what the limit verb bounds, in the order in which they are saved.
var limitKeys = []key[Limits]{
	keyOf("client_conns", number(0, maxInt), func(l *Limits) *int { return &l.ClientConns }),
	keyOf("client_rate", rate(), func(l *Limits) *float64 { return &l.ClientRate }),
	keyOf("conns", number(0, maxInt), func(l *Limits) *int { return &l.Conns }),
	keyOf("rate", rate(), func(l *Limits) *float64 { return &l.Rate }),
	keyOf("server_rate", rate(), func(l *Limits) *float64 { return &l.ServerRate }),
	keyOf("bandwidth", bandwidth(), func(l *Limits) *int64 { return &l.Bandwidth }),
	keyOf("conn_bandwidth", bandwidth(), func(l *Limits) *int64 { return &l.ConnBandwidth }),
	keyOf("delay", period(0), func(l *Limits) *time.Duration { return &l.Delay }),
}

// limiting are the verbs of limits and time-outs.
func limiting() []Verb {
	return []Verb{
		{
			Name: "limit", Args: "[" + strings.Join(keyNames(limitKeys), "|") + " VALUE]", NoArgs: "[NAME]", Long: "limit", Negatable: true,
			Level: Operate, none: "off",
			does:    on(setLimit, saveLimits),
			Help:    "bound connections (N), new ones (N/s) or bytes (such as 10M/s)",
			More:    "delay is how long clients above a rate may wait. no limit NAME takes one limit back, no limit all of them.",
			Example: "limit client_rate 20/s", See: "queue conn_max",
		},
		{
			Name: "queue", Args: "[N TIME]", Long: "queue", Negatable: true, Level: Operate, none: "off", does: on(setQueue, saveQueue),
			Help: "clients that may wait when all servers are full, and how long", Example: "queue 100 5s", See: "limit server",
		},
		{
			Name: "conn_max", Short: "x", Long: "connections", Level: Operate,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.ConnMax }),
			Help: "connections at a time; 0: as many as there are descriptors for", Example: "conn_max 10000", See: "limit",
		},
		{
			Name: "pending_max", Long: "pending", Level: Operate, quiet: true,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.PendingMax }),
			Help: "connects to servers at a time; more clients wait; 0: no limit", Example: "pending_max 100",
		},
		{
			Name: "timeout", Short: "t", Long: "timeout", Level: Operate, saved: always,
			does: plain(period(time.Millisecond), func(s *Service) *time.Duration { return &s.Timeout }),
			Help: "how long a server may take to accept a connection", Example: "timeout 3", See: "idle_timeout",
		},
		{
			Name: "idle_timeout", Long: "idle-timeout", Level: Operate, reply: "Idle timeout: %s seconds\n",
			does: plain(period(0), func(s *Service) *time.Duration { return &s.IdleTimeout }),
			Help: "close connections that moved nothing for so long; 0: never", More: "For a flow of datagrams 0 is 30 seconds.",
			Example: "idle_timeout 10m", See: "max_age",
		},
		{
			Name: "max_age", Long: "max-age", Level: Operate,
			does: plain(period(0), func(s *Service) *time.Duration { return &s.MaxAge }),
			Help: "close connections after this, or up to a tenth earlier; 0: never", Example: "max_age 1h", See: "idle_timeout",
		},
		{
			Name: "tcp_fastclose", Long: "tcp-fastclose", Negatable: true, Level: Operate, quiet: true, saved: always,
			does: plain(choice("off", "up", "down", "both", "off"), func(s *Service) *string { return &s.FastClose }),
			Help: "close a connection once its server (up) or client (down) has ended it", More: "both: when either of them has.",
			Example: "tcp_fastclose both",
		},
	}
}

// rate is how often, a second.
func rate() kind[float64] {
	return kind[float64]{
		args:  "N/s",
		parse: func(_, text string) (float64, error) { return parseRate(text) },
		write: func(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) + "/s" },
	}
}

// bandwidth is bytes a second.
func bandwidth() kind[int64] {
	return kind[int64]{
		args:  "BYTES/s",
		parse: func(_, text string) (int64, error) { return parseBytes(text) },
		write: func(n int64) string { return strconv.FormatInt(n, 10) + "/s" },
	}
}

// parseRate understands how often, as in 20, 20/s, 30/m and 0.5/s.
func parseRate(word string) (float64, error) {
	text, unit, _ := strings.Cut(word, "/")
	n, err := strconv.ParseFloat(text, 64)
	seconds := map[string]float64{"": 1, "s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || seconds == 0 || !(n >= 0 && n <= math.MaxInt32) {
		return 0, fmt.Errorf("%q is not a rate, want such as 20/s, 30/m or 0.5/s", word)
	}
	return n / seconds, nil
}

// parseBytes understands bytes a second, as in 500000, 10M and 10M/s; k, M and
// G are powers of 1000.
func parseBytes(word string) (int64, error) {
	text := strings.TrimSuffix(word, "/s")
	factor := int64(1)
	for i, unit := range []string{"k", "M", "G"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text = rest
			for range i + 1 {
				factor *= 1000
			}
			break
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor/1000 {
		return 0, fmt.Errorf("%q is not a number of bytes a second, want such as 500k/s or 10M/s", word)
	}
	return n * factor, nil
}

func setLimit(s *Service, no bool, args []string) error {
	if no && len(args) == 0 {
		s.Limits = Limits{}
		return nil
	}
	i := slices.IndexFunc(limitKeys, func(k key[Limits]) bool { return k.name == args[0] })
	if i < 0 {
		return noneOf(args[0], keyNames(limitKeys)...)
	}
	k := limitKeys[i]
	switch {
	case no:
		return k.set(&s.Limits, "0")
	case len(args) < 2:
		return fmt.Errorf("%s has no value, want limit %s %s", k.name, k.name, k.args)
	}
	return k.set(&s.Limits, args[1])
}

func saveLimits(s *Service) []string {
	var out []string
	for _, k := range limitKeys {
		if value := k.get(&s.Limits); value != "" {
			out = append(out, k.name+" "+value)
		}
	}
	return out
}

func setQueue(s *Service, no bool, args []string) error {
	if no {
		s.Queue, s.QueueTime = 0, 0
		return nil
	}
	if len(args) < 2 {
		return errors.New("want how many may wait, and how long: queue N TIME")
	}
	n, err := parseInt("queue", args[0], 1, maxInt)
	if err != nil {
		return err
	}
	d, err := ParseDuration(args[1])
	if err != nil {
		return err
	}
	if d < time.Millisecond {
		return fmt.Errorf("%q is too short to wait, want at least 1ms", args[1])
	}
	s.Queue, s.QueueTime = n, d
	return nil
}

func saveQueue(s *Service) []string {
	if s.Queue == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d %s", s.Queue, duration.Format(s.QueueTime))}
}
