package config

import "strconv"

// defaultUnproven is Service.UDPUnproven, unless the user says otherwise.
const defaultUnproven = 4096

// datagrams are the verbs of services that balance datagrams.
func datagrams() []Verb {
	return []Verb{
		boolean("udp_per_packet", "", "udp-per-packet", "UDP: choose a server for each datagram, as balance ... per datagram does", func(s *Service) *bool { return &s.UDPPerPacket }),
		integer("udp_requests", "", "udp-requests", "UDP: after so many datagrams of a client the next one begins a new flow; 0: never", 0, maxInt, func(s *Service) *int { return &s.UDPRequests }),
		asked(row(Verb{
			Name: "udp_responses", Args: "N", Long: "udp-responses", Negatable: true, most: 1, Help: "UDP: answers to each datagram; a flow that has had them is over at once; 0: there are none",
		}, on[Service]{
			set: setResponses, save: saveResponses,
		})),
		integer("udp_unproven", "", "udp-unproven", "UDP: flows of a listener that may wait for their first answer, and as many whose client has not come back after it; 0: no limit", 0, maxInt, func(s *Service) *int { return &s.UDPUnproven }),
	}
}

// unknownResponses is Service.UDPResponses where nobody knows.
const unknownResponses = -1

func setResponses(s *Service, no bool, args []string) error {
	if no {
		s.UDPResponses = unknownResponses
		return nil
	}
	n, err := parseInt("number", args[0], 0, maxInt)
	if err == nil {
		s.UDPResponses = n
	}
	return err
}

func saveResponses(s *Service) []string {
	if s.UDPResponses < 0 {
		return []string{"no udp_responses"}
	}
	return []string{"udp_responses " + strconv.Itoa(s.UDPResponses)}
}
