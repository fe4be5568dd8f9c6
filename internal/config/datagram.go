package config

import "strconv"

const (
	// defaultUnproven is Service.UDPUnproven, unless the user says otherwise.
	defaultUnproven = 4096
	// unknownResponses is Service.UDPResponses where nobody knows.
	unknownResponses = -1
)

// datagrams are the verbs of services that balance datagrams.
func datagrams() []Verb {
	responses := number(0, maxInt)
	responses.write = func(n int) string {
		if n == unknownResponses {
			return ""
		}
		return strconv.Itoa(n)
	}
	return []Verb{
		{
			Name: "udp_per_packet", Long: "udp-per-packet", Negatable: true, Level: Operate,
			does: plain(flag(), func(s *Service) *bool { return &s.UDPPerPacket }),
			Help: "choose a server for each datagram, not for each flow", Example: "udp_per_packet on", See: "balance",
		},
		{
			Name: "udp_requests", Long: "udp-requests", Level: Operate,
			does: plain(number(0, maxInt), func(s *Service) *int { return &s.UDPRequests }),
			Help: "datagrams of a client after which a new flow begins; 0: never", Example: "udp_requests 1",
		},
		{
			Name: "udp_responses", Long: "udp-responses", Negatable: true, Level: Operate, none: "off",
			does: plain(responses, func(s *Service) *int { return &s.UDPResponses }),
			Help: "answers to each datagram, after which a flow is over; 0: none", More: "Without it a flow is over when it has been idle.",
			Example: "udp_responses 1", See: "idle_timeout",
		},
		{
			Name: "udp_unproven", Long: "udp-unproven", Level: Operate,
			does:    plain(number(0, maxInt), func(s *Service) *int { return &s.UDPUnproven }),
			Help:    "flows of a listener that may wait for their first answer; 0: no limit",
			More:    "As many more may wait for their client to come back after the first answer. It bounds what clients with forged addresses can take.",
			Example: "udp_unproven 1000",
		},
	}
}
