package health

import (
	"context"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pen/internal/check"
)

// Status tells of one target what States tells of all.
func TestStatusOfOne(t *testing.T) {
	m := New(Options{Log: slog.New(slog.DiscardHandler), Probe: func(context.Context, Target) Outcome { return Outcome{} }})
	defer m.Close()
	keys := []Key{
		{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Spec: check.Spec{Kind: check.TCP, Interval: time.Hour}},
		{Addr: netip.MustParseAddrPort("192.0.2.2:80"), Spec: check.Spec{Kind: check.TCP, Interval: time.Hour}},
	}
	m.Set([]Target{{Key: keys[0]}, {Key: keys[1]}})
	for i, want := range m.States() {
		if got, ok := m.Status(keys[i]); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%v %v, want %v", got, ok, want)
		}
	}
	m.Set([]Target{{Key: keys[1]}})
	if got, ok := m.Status(keys[0]); ok {
		t.Errorf("%v of what is not checked", got)
	}
}
