package app

import (
	"testing"

	"pen/internal/client"
	"pen/internal/config"
)

func TestSlotsByIdentity(t *testing.T) {
	find := slotsByIdentity([]config.Server{
		{Host: "192.0.2.1", Port: 80},
		{},
		{Host: "192.0.2.2", Port: 80, Name: "web"},
		{Host: "192.0.2.1", Port: 80}, // like the first
		{Host: "192.0.2.3", Service: "http"},
	})
	for identity, want := range map[string]int{
		"192.0.2.1:80": 0, "web": 2, "192.0.2.3:http": 4,
		"192.0.2.2:80": client.NoServer, "": client.NoServer, "gone": client.NoServer,
	} {
		if got := find(identity); got != want {
			t.Errorf("%q is in slot %d, want %d", identity, got, want)
		}
	}
}
