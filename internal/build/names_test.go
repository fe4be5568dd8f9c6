package build

import (
	"fmt"
	"testing"

	"pen/internal/config"
	"pen/internal/names"
	"pen/internal/pool"
)

func TestCertificateName(t *testing.T) {
	for host, want := range map[string]string{"_ldap._tcp.corp.example.": "corp.example.", "_x._tcp": "", "www": "www"} {
		if got := certificateName(config.Server{Host: host}); got != want {
			t.Errorf("%s: %q, want %q", host, got, want)
		}
	}
}

func TestNamesOf(t *testing.T) {
	s := config.Service{
		Servers: []config.Server{
			{Host: "web.test", Port: 80},
			{Host: "web.test", Port: 80},
			{Host: "web.test", Port: 81},
			{Host: "192.0.2.1"},
			{Host: "2001:db8::1"},
			{Host: "/run/x"},
			{},
			{Host: "_x._tcp.test"},
			{Host: "9.test"},
		},
		Emergency: []config.Server{{Host: "web.test", Port: 80}},
	}
	want := serverNames{
		0: {names.Query{Name: "web.test", Places: 2}, 0}, 1: {names.Query{Name: "web.test", Places: 2}, 1}, 2: {names.Query{Name: "web.test"}, 0},
		7: {names.Query{Name: "_x._tcp.test", Places: 1}, 0}, 8: {names.Query{Name: "9.test"}, 0}, pool.EmergencySlot: {names.Query{Name: "web.test"}, 0},
	}
	if got := namesOf(s); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got, want)
	}
}
