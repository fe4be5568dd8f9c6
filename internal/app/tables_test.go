package app

import (
	"testing"

	"pen/internal/client"
	"pen/internal/config"
)

// A saved server is found again by its name or else by its address, in whichever slot;
// one that is removed is not. Servers that are alike are told apart.
func TestServersAreFoundByIdentity(t *testing.T) {
	servers := identities(config.Service{Servers: []config.Server{
		{Host: "192.0.2.1", Port: 80},
		{},
		{Host: "192.0.2.2", Port: 80, Name: "web"},
		{Host: "192.0.2.1", Port: 80}, // like the first
		{Host: "192.0.2.3", Service: "http"},
	}})
	for _, tt := range []struct {
		saved client.Identity
		want  int32
	}{
		{client.Identity{Address: "192.0.2.1:80"}, 0},
		{client.Identity{Name: "once", Address: "192.0.2.1:80"}, 0},
		{client.Identity{Name: "web", Address: "192.0.2.9:80"}, 2},
		{client.Identity{Address: "192.0.2.2:80"}, 2}, // it has got a name since
		{client.Identity{Address: "192.0.2.1:80#2"}, 3},
		{client.Identity{Address: "192.0.2.3:http"}, 4},
		{client.Identity{Address: "192.0.2.2:81"}, -1},
		{client.Identity{Name: "gone", Address: "192.0.2.4:80"}, -1},
		{client.Identity{}, -1},
	} {
		if got := (client.Directory{tt.saved}).Slots(servers)[0]; got != tt.want {
			t.Errorf("%+v is in slot %d, want %d", tt.saved, got, tt.want)
		}
	}
}
