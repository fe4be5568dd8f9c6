package edge

import (
	"testing"

	"pen/internal/wire"
)

func TestRoutes(t *testing.T) {
	var r Routes[string]
	for _, route := range [][3]string{
		{"default", "", "default"},
		{"sni", "*", "any"},
		{"sni", "*.example.com", "below"},
		{"sni", "*.b.example.com", "deeper"},
		{"sni", "www.example.com", "www"},
		{"alpn", "imap", "mail"},
		{"alpn", "h2", "h2"},
	} {
		r.Add(route[0], route[1], route[2])
	}
	for _, tt := range []struct {
		name      string
		protocols []string
		want      string
	}{
		{"www.example.com", []string{"imap"}, "www"},
		{"a.example.com", nil, "below"},
		{"a.b.example.com", nil, "deeper"},
		{"x.y.b.example.com", nil, "deeper"},
		{"b.example.com", nil, "below"},
		{"example.com", nil, "any"},
		{"xexample.com", nil, "any"},
		{"localhost", nil, "any"},
		{"", []string{"http/1.1", "h2", "imap"}, "h2"},
		{"", []string{"http/1.1"}, "default"},
		{"", nil, "default"},
	} {
		if got, ok := r.Find(&wire.Hello{Name: tt.name, Protocols: tt.protocols}); !ok || got != tt.want {
			t.Errorf("%q %v goes to %q, %v, want %q", tt.name, tt.protocols, got, ok, tt.want)
		}
	}
	if got, ok := r.Find(nil); !ok || got != "default" {
		t.Errorf("what is no TLS goes to %q, %v, want the default", got, ok)
	}
	var none Routes[string]
	none.Add("sni", "www.example.com", "www")
	for _, hello := range []*wire.Hello{nil, {}, {Name: "example.com"}, {Protocols: []string{"h2"}}} {
		if got, ok := none.Find(hello); ok {
			t.Errorf("%+v goes to %q, want nowhere", hello, got)
		}
	}
}
