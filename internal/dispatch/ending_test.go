package dispatch

import "testing"

func TestThen(t *testing.T) {
	for _, c := range []struct {
		seen []Ending
		want Ending
	}{
		{nil, NotEnded},
		{[]Ending{ByServer}, ByServer},
		{[]Ending{ByServer, ByClient}, ByServer},
		{[]Ending{ByCompletion, ByClient}, ByCompletion},
		{[]Ending{ByClient, NotEnded}, ByClient},
		{[]Ending{ByClient, ByServerReset}, ByServerReset},
		{[]Ending{ByClient, ByIdleTimeout, ByServer}, ByIdleTimeout},
		{[]Ending{ByClientReset, ByServerReset}, ByClientReset},
		{[]Ending{ByServerReset, ByKill}, ByServerReset},
		{[]Ending{ByKill, ByClientReset}, ByKill},
		{[]Ending{Refused, ByClient}, Refused},
	} {
		got := NotEnded
		for _, e := range c.seen {
			got = got.Then(e)
		}
		if got != c.want {
			t.Errorf("%v: %v, want %v", c.seen, got, c.want)
		}
	}
}
