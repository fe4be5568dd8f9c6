package duration

import (
	"testing"
	"time"
)

func TestParseAndFormat(t *testing.T) {
	for _, tt := range []struct {
		text string
		want time.Duration
		back string
	}{
		{"30", 30 * time.Second, "30"},
		{"5m", 5 * time.Minute, "300"},
		{"200ms", 200 * time.Millisecond, "200ms"},
		{"1.5s", 1500 * time.Millisecond, "1.5s"},
		{"-3", -3 * time.Second, "-3"},
	} {
		d, err := Parse(tt.text)
		if err != nil || d != tt.want || Format(d) != tt.back {
			t.Errorf("%s: %v %v, written %s", tt.text, d, err, Format(d))
		}
	}
	for _, text := range []string{"", "x", "1.5", "99999999999", "0.0", "5 m"} {
		if d, err := Parse(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}
