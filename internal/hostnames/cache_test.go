package hostnames

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func addr4(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
}

func TestCacheBound(t *testing.T) {
	c := NewCache(100, time.Hour)
	for i := range 10_000 {
		c.put(addr4(i), "x.example", start, true)
		if n := len(c.young) + len(c.old); n > 100 {
			t.Fatalf("%d entries", n)
		}
		if _, ok := c.get(addr4(0), start); !ok {
			t.Fatalf("what is used was forgotten after %d others", i)
		}
	}
	if _, ok := c.get(addr4(5000), start); ok {
		t.Error("what was not used was kept")
	}
}

func TestCacheLifetime(t *testing.T) {
	c := NewCache(100, time.Hour)
	c.put(addr4(1), "a.example", start, true)
	c.put(addr4(2), "", start, true)
	c.put(addr4(3), "", start, false)
	for _, tt := range []struct {
		addr  int
		after time.Duration
		name  string
		ok    bool
	}{
		{1, 0, "a.example", true},
		{1, time.Hour - 1, "a.example", true},
		{1, time.Hour, "", false},
		{1, -1, "", false},
		{2, time.Hour - 1, "", true},
		{3, retry - 1, "", true},
		{3, retry, "", false},
		{4, 0, "", false},
	} {
		if name, ok := c.get(addr4(tt.addr), start.Add(tt.after)); name != tt.name || ok != tt.ok {
			t.Errorf("%d after %v: %q, %v", tt.addr, tt.after, name, ok)
		}
	}
}

func TestCacheFile(t *testing.T) {
	c := NewCache(100, time.Hour)
	c.put(netip.MustParseAddr("2001:db8::1"), "six.example", start, true)
	c.put(addr4(2), "", start, true)
	c.put(addr4(1), "a.example", start, true)
	c.put(addr4(3), "", start, false)
	c.put(addr4(4), "old.example", start.Add(-time.Hour), true)
	const want = "10.0.0.1 1800000000 a.example\n10.0.0.2 1800000000 -\n2001:db8::1 1800000000 six.example\n"
	if got := save(t, c); got != want {
		t.Errorf("saved %q, want %q", got, want)
	}
	again := NewCache(100, time.Hour)
	file := want + "10.0.0.9 1799990000 stale.example\n10.0.0.8 1900000000 future.example\n" +
		"10.0.0.7 x a.example\n10.0.0.7 1800000000 a b\n10.0.0.7 1800000000 1.2.3.4\nx 1800000000 a.example\nfe80::1%e 1800000000 -\n\n"
	bad, err := again.Load(strings.NewReader(file), start)
	if err != nil || bad != 6 {
		t.Errorf("%d bad lines, want 6, %v", bad, err)
	}
	if got := save(t, again); got != want {
		t.Errorf("loaded %q, want %q", got, want)
	}
}

// A file with more than the cache holds is no harm.
func TestCacheFileBound(t *testing.T) {
	var file bytes.Buffer
	for i := range 1000 {
		fmt.Fprintf(&file, "%s 1800000000 h%d.example\n", addr4(i), i)
	}
	c := NewCache(100, time.Hour)
	if bad, err := c.Load(&file, start); bad != 0 || err != nil {
		t.Fatal(bad, err)
	}
	if n := strings.Count(save(t, c), "\n"); n < 50 || n > 100 {
		t.Errorf("%d entries", n)
	}
}

func save(t *testing.T, c *Cache) string {
	t.Helper()
	var b bytes.Buffer
	if err := c.Save(&b, start); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func FuzzCacheFile(f *testing.F) {
	for _, file := range []string{"10.0.0.1 1800000000 a.example\n", "::1 0 -", "x", "\n\n", "10.0.0.1 99999999999999999999 a\n"} {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		c := NewCache(10, time.Hour)
		if _, err := c.Load(bytes.NewReader(file), start); err != nil {
			t.Fatal(err)
		}
		saved := save(t, c)
		again := NewCache(10, time.Hour)
		if bad, err := again.Load(strings.NewReader(saved), start); bad != 0 || err != nil {
			t.Fatalf("%q can't be loaded: %d bad lines, %v", saved, bad, err)
		}
	})
}
