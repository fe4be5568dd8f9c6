package dispatch

import (
	"strings"
	"testing"

	"pen/internal/acl"
)

func TestRefusalsAreCounted(t *testing.T) {
	cfg := config(1)
	cfg.ConnMax = 1
	cfg.ClientACL = 1
	cfg.ACLs.List[1] = acl.List{{Addr: from(9).Addr(), Mask: 1<<32 - 1}}
	d := New(cfg, (&clock{}).now)
	d.Admit(from(9), &carrier{})
	_, held := tries(t, d, from(1))
	d.Admit(from(2), &carrier{})
	held.Done(ByClient)
	visit(t, d, from(1), 0)
	d.Drop(Overflow, 5)
	d.Refuse(from(3), BadHeader)
	want := Counts{Refused: [Refusals]uint64{Denied: 1, NoServer: 1, BadHeader: 1}, Dropped: [Drops]uint64{Overflow: 5}}
	if got := d.Status().Counts; got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
}

// The order and the words are those that users know.
func TestCountsShown(t *testing.T) {
	var words []string
	for word := range (&Counts{}).Shown() {
		words = append(words, word)
	}
	const want = "denied, full, no server, queue full, not read, not sent, stopping, displaced, client connections, client rate, " +
		"connections limit, rate, delayed, diverted, waiting queue full, queue time, bandwidth, proxy header, tls handshake, " +
		"http request, tls busy, own address"
	if got := strings.Join(words, ", "); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
