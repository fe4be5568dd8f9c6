package config

import (
	"errors"
	"fmt"
	"math"
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

// A limit is one word of the limit verb.
type limit struct {
	name, value string
	set         func(l *Limits, word string) error
	get         func(l Limits) string // empty: no limit
}

// limits are in the order in which they are saved.
var limits = []limit{
	countLimit("client_conns", func(l *Limits) *int { return &l.ClientConns }),
	rateLimit("client_rate", func(l *Limits) *float64 { return &l.ClientRate }),
	countLimit("conns", func(l *Limits) *int { return &l.Conns }),
	rateLimit("rate", func(l *Limits) *float64 { return &l.Rate }),
	rateLimit("server_rate", func(l *Limits) *float64 { return &l.ServerRate }),
	byteLimit("bandwidth", func(l *Limits) *int64 { return &l.Bandwidth }),
	byteLimit("conn_bandwidth", func(l *Limits) *int64 { return &l.ConnBandwidth }),
	{
		"delay", "TIME",
		func(l *Limits, word string) (err error) {
			l.Delay, err = ParseDuration(word)
			return err
		},
		func(l Limits) string {
			if l.Delay == 0 {
				return ""
			}
			return duration.Format(l.Delay)
		},
	},
}

// limiting are the verbs of limits.
func limiting() []Verb {
	var names []string
	for _, l := range limits {
		names = append(names, l.name)
	}
	return []Verb{
		asked(row(Verb{
			Name: "limit", Args: strings.Join(names, "|") + " VALUE", Long: "limit", several: true, Negatable: true, most: 2, mostNo: 1, Help: "bound connections (N), new connections (N/s) or bytes (such as 10M/s); delay: how long clients above a rate may wait; no limit NAME takes one back",
		}, on[Service]{
			set: setLimit, save: saveLimits,
		})),
		asked(row(Verb{
			Name: "queue", Args: "N TIME", Long: "queue", several: true, Negatable: true, most: 2, Help: "clients that may wait when all servers are full, and how long",
		}, on[Service]{
			set: setQueue, save: saveQueue,
		})),
	}
}

func countLimit(name string, field func(*Limits) *int) limit {
	return limit{
		name, "N",
		func(l *Limits, word string) (err error) {
			*field(l), err = parseInt(name, word, 0, maxInt)
			return err
		},
		func(l Limits) string { return number(*field(&l)) },
	}
}

func rateLimit(name string, field func(*Limits) *float64) limit {
	return limit{
		name, "N/s",
		func(l *Limits, word string) error {
			n, err := parseRate(word)
			if err == nil {
				*field(l) = n
			}
			return err
		},
		func(l Limits) string {
			if *field(&l) == 0 {
				return ""
			}
			return strconv.FormatFloat(*field(&l), 'g', -1, 64) + "/s"
		},
	}
}

func byteLimit(name string, field func(*Limits) *int64) limit {
	return limit{
		name, "BYTES/s",
		func(l *Limits, word string) error {
			n, err := parseBytes(word)
			if err == nil {
				*field(l) = n
			}
			return err
		},
		func(l Limits) string {
			if *field(&l) == 0 {
				return ""
			}
			return strconv.FormatInt(*field(&l), 10) + "/s"
		},
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
	var names []string
	for _, l := range limits {
		names = append(names, l.name)
		switch {
		case l.name != args[0]:
			continue
		case no:
			return l.set(&s.Limits, "0")
		case len(args) < 2:
			return fmt.Errorf("%s has no value, want limit %s %s", l.name, l.name, l.value)
		}
		next := s.Limits
		err := l.set(&next, args[1])
		if err == nil {
			s.Limits = next
		}
		return err
	}
	return noneOf(args[0], names...)
}

func saveLimits(s *Service) []string {
	var lines []string
	for _, l := range limits {
		if value := l.get(s.Limits); value != "" {
			lines = append(lines, "limit "+l.name+" "+value)
		}
	}
	if lines == nil {
		return []string{"no limit"}
	}
	return lines
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
		return []string{"no queue"}
	}
	return []string{fmt.Sprintf("queue %d %s", s.Queue, duration.Format(s.QueueTime))}
}
