package hostnames

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Cache remembers the names of addresses, and which addresses have none, for a time and
// within a bound. It may be used from any goroutine.
//
// It has two generations. Entries in use move to the young one; when that is full, it
// replaces the old one.
type Cache struct {
	lifetime time.Duration
	half     int // the bound of one generation

	mu         sync.Mutex // guards both
	young, old map[netip.Addr]entry
}

// An entry is the result of a look-up; name is "" if the address has none, or if there was
// no answer.
type entry struct {
	name     string
	at       time.Time
	answered bool
}

// NewCache returns an empty cache for at most limit addresses, or two if that is more.
func NewCache(limit int, lifetime time.Duration) *Cache {
	return &Cache{lifetime: lifetime, half: max(1, limit/2), young: map[netip.Addr]entry{}}
}

func (c *Cache) get(addr netip.Addr, now time.Time) (name string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.young[addr]
	if !ok {
		if e, ok = c.old[addr]; ok {
			c.store(addr, e)
		}
	}
	if !ok || !c.fresh(e, now) {
		return "", false
	}
	return e.name, true
}

func (c *Cache) put(addr netip.Addr, name string, now time.Time, answered bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store(addr, entry{name, now, answered})
}

func (c *Cache) store(addr netip.Addr, e entry) {
	if len(c.young) >= c.half {
		c.old, c.young = c.young, map[netip.Addr]entry{}
	}
	c.young[addr] = e
}

func (c *Cache) fresh(e entry, now time.Time) bool {
	age, most := now.Sub(e.at), c.lifetime
	if !e.answered {
		most = min(most, retry)
	}
	return 0 <= age && age < most
}

// maxEntry bounds a line of a cache file, in bytes.
const maxEntry = 512

// Load reads what Save has written, a line for each address:
//
//	ADDRESS UNIXTIME NAME
//
// NAME is "-" for an address without a name. Lines that are too old are ignored; bad ones
// are ignored and counted.
func (c *Cache) Load(r io.Reader, now time.Time) (bad int, err error) {
	lines := bufio.NewReaderSize(r, maxEntry)
	for {
		line, tooLong, err := lines.ReadLine()
		if err == io.EOF {
			return bad, nil
		}
		if err != nil {
			return bad, err
		}
		addr, e, ok := parseEntry(line)
		if tooLong || !ok {
			bad++
		} else if c.fresh(e, now) {
			c.mu.Lock()
			c.store(addr, e)
			c.mu.Unlock()
		}
	}
}

func parseEntry(line []byte) (netip.Addr, entry, bool) {
	f := bytes.Split(line, []byte(" "))
	if len(f) != 3 {
		return netip.Addr{}, entry{}, false
	}
	addr, err := netip.ParseAddr(string(f[0]))
	at, err2 := strconv.ParseInt(string(f[1]), 10, 40)
	name := string(f[2])
	if name == "-" {
		name = ""
	}
	if err != nil || err2 != nil || addr.Zone() != "" || name != "" && !acceptable(name) {
		return netip.Addr{}, entry{}, false
	}
	return addr.Unmap(), entry{name, time.Unix(at, 0), true}, true
}

// Save writes the answers that are not too old, sorted by address.
func (c *Cache) Save(w io.Writer, now time.Time) error {
	c.mu.Lock()
	all := map[netip.Addr]entry{}
	maps.Copy(all, c.old)
	maps.Copy(all, c.young)
	c.mu.Unlock()
	out := bufio.NewWriter(w)
	for _, addr := range slices.SortedFunc(maps.Keys(all), netip.Addr.Compare) {
		e := all[addr]
		if !e.answered || !c.fresh(e, now) {
			continue
		}
		name := e.name
		if name == "" {
			name = "-"
		}
		fmt.Fprintf(out, "%s %d %s\n", addr, e.at.Unix(), name)
	}
	return out.Flush()
}
