package build

import (
	"testing"

	"pen/internal/config"
)

func TestConnMax(t *testing.T) {
	for _, tt := range []struct {
		nofile    Descriptors
		set, want int
	}{
		{1024, 0, 500},
		{1024, 100, 100},
		{1024, 5000, 500},
		{512, 0, 248},
		{64, 0, 24},
		{8, 0, 1},
		{20000, 0, 9872},
		{20000, 500, 500},
		{1 << 62, 0, 1073741695},
	} {
		if got := tt.nofile.ConnMax(config.Service{ConnMax: tt.set}, false); got != tt.want {
			t.Errorf("%d descriptors, -x %d: %d connections, want %d", tt.nofile, tt.set, got, tt.want)
		}
	}
}
