// Package duration is how times are written in Pen's language: a bare number is
// seconds, as in Pen, and 200ms, 5m have units.
package duration

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse understands a time. It may be negative, and as long as fits; callers
// have bounds of their own.
func Parse(s string) (time.Duration, error) {
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || !strings.ContainsAny(s, "smh") {
		return 0, fmt.Errorf("%.40q is not a duration, want seconds such as 30, or 200ms, 5m", s)
	}
	return d, nil
}

// Format is the opposite of Parse.
func Format(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10)
	}
	return d.String()
}
