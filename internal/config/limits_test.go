package config

import (
	"strings"
	"testing"
)

// What is said of limits and outliers, and how it is saved.
func TestLimitLines(t *testing.T) {
	for _, tt := range []struct{ lines, want string }{
		{"limit rate 90/m", "limit rate 1.5/s"},
		{"limit rate 7", "limit rate 7/s"},
		{"limit bandwidth 10M/s|limit client_conns 3|limit delay 200ms", "limit client_conns 3|limit bandwidth 10000000/s|limit delay 200ms"},
		{"limit conns 3|limit rate 1|no limit conns", "limit rate 1/s"},
		{"limit conns 3|limit rate 1|no limit", "no limit"},
		{"limit conns 3|limit conns 0", "no limit"},
		{"outlier resets 3 failures 2", "outlier failures 2 resets 3 within 1"},
		{"outlier share 50|outlier max 5m", "outlier max 300"},
		{"outlier share 50|no outlier", "no outlier"},
		{"queue 5 200ms", "queue 5 200ms"},
		{"balance maglev bound 1.250", "balance maglev bound 1.25"},
		{"balance roundrobin per datagram", "balance roundrobin per datagram"},
		{"balance hash bound 2 per datagram", "balance hash bound 2 per datagram"},
		{"balance roundrobin per datagram|balance leastconn", "balance leastconn"},
		{"balance roundrobin per datagram|no balance", "no balance"},
		{"udp_per_packet|balance leastconn|udp_per_packet", "udp_per_packet"},
		{"udp_per_packet|no udp_per_packet", "no udp_per_packet"},
		{"udp_responses 0", "udp_responses 0"},
		{"udp_responses 2|no udp_responses", "no udp_responses"},
		{"udp_requests 1", "udp_requests 1"},
		{"udp_unproven 0", "udp_unproven 0"},
		{"tracking_prefix 24 128", "tracking_prefix 24 128"},
		{"tracking_prefix 24 56|tracking_prefix 32", "tracking_prefix 32 64"},
	} {
		c := apply(t, Default(), strings.Split(tt.lines, "|")...)
		name, _, _ := strings.Cut(strings.TrimPrefix(tt.want, "no "), " ")
		if got := strings.Join(find(name).lines(&c, &c.Services[0]), "|"); got != tt.want {
			t.Errorf("%s: saved as %s, want %s", tt.lines, got, tt.want)
		}
	}
}
