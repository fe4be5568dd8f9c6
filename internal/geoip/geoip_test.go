//go:build !386 && !arm

package geoip

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"

	"pen/internal/testenv"
)

type (
	record = mmdbtype.Map
	text   = mmdbtype.String
)

// build returns a file with the given records.
func build(t testing.TB, opt mmdbwriter.Options, records map[string]mmdbtype.DataType) []byte {
	t.Helper()
	opt.IncludeReservedNetworks, opt.BuildEpoch = true, 1
	tree, err := mmdbwriter.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	for network, r := range records {
		_, ipNet, err := net.ParseCIDR(network)
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Insert(ipNet, r); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func countries(t testing.TB, lines ...string) []byte {
	t.Helper()
	data, err := testenv.CountryDB(lines...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t testing.TB, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Every way in which a record may say its country.
func TestCountry(t *testing.T) {
	iso := func(code string) record { return record{"iso_code": text(code), "names": record{"en": text("A name")}} }
	records := map[string]mmdbtype.DataType{
		"1.0.0.0/8":     record{"country": iso("SE"), "registered_country": iso("DE")},
		"2.0.0.0/8":     record{"continent": record{"code": text("EU")}, "registered_country": iso("DE")},
		"3.0.0.0/8":     record{"country_code": text("fr"), "country": text("France")},
		"4.0.0.0/8":     record{"country": text("NO")},
		"5.0.0.0/8":     record{"country": text("Norway")},
		"6.0.0.0/8":     record{"country": text("-")},
		"7.0.0.0/8":     record{"country": record{"names": record{"en": text("Nowhere")}}},
		"8.0.0.0/8":     record{"country": mmdbtype.Uint32(7), "country_code": mmdbtype.Slice{text("SE")}},
		"9.0.0.0/8":     text("SE"),
		"10.0.0.0/8":    record{},
		"2001:db8::/32": record{"country": iso("JP")},
	}
	for _, size := range []int{24, 28, 32} {
		db, err := parse(build(t, mmdbwriter.Options{DatabaseType: "Test", RecordSize: size}, records))
		if err != nil {
			t.Fatal(err)
		}
		for addr, want := range map[string]string{
			"1.2.3.4": "SE", "2.2.3.4": "DE", "3.2.3.4": "FR", "4.2.3.4": "NO", "5.2.3.4": "", "6.2.3.4": "", "7.2.3.4": "",
			"8.2.3.4": "", "9.2.3.4": "", "10.2.3.4": "", "11.2.3.4": "", "2001:db8::1": "JP", "2001:db9::1": "",
		} {
			if got := db.Country(netip.MustParseAddr(addr)); got != want {
				t.Errorf("records of %d bits: %s is in %q, want %q", size, addr, got, want)
			}
		}
	}
}

// An IPv6 address is in no country of a database for IPv4.
func TestIPv4Only(t *testing.T) {
	db, err := parse(build(t, mmdbwriter.Options{IPVersion: 4}, map[string]mmdbtype.DataType{"1.0.0.0/8": record{"country_code": text("SE")}}))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"1.2.3.4": "SE", "2.2.3.4": "", "::1": "", "100::1": ""} {
		if got := db.Country(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %q, want %q", addr, got, want)
		}
	}
}

func TestCountryDoesNotAllocate(t *testing.T) {
	db, err := parse(countries(t, "1.0.0.0/8 SE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range []string{"1.2.3.4", "2.2.3.4", "2001:db8::1"} {
		a := netip.MustParseAddr(addr)
		if n := testing.AllocsPerRun(100, func() { db.Country(a) }); n != 0 {
			t.Errorf("%s: %v allocations", addr, n)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	good := countries(t, "1.0.0.0/8 SE")
	write(t, file("empty"), nil)
	write(t, file("text"), []byte("acl 1 permit country SE\n"))
	write(t, file("half"), good[:len(good)/2])
	write(t, file("end"), good[:len(good)-20])
	write(t, file("zeros"), append(make([]byte, len(good)/2), good[len(good)/2:]...))
	between := build(t, mmdbwriter.Options{IPVersion: 4, RecordSize: 24}, map[string]mmdbtype.DataType{"0.0.0.0/1": record{"country": text("SE")}})
	copy(between, []byte{0, 0, 5}) // the one node's way to the record
	write(t, file("between"), between)
	write(t, file("asn"), build(t, mmdbwriter.Options{DatabaseType: "My\nASN"}, map[string]mmdbtype.DataType{"1.0.0.0/8": record{"asn": text("AS1")}}))
	write(t, file("nothing"), build(t, mmdbwriter.Options{}, nil))
	write(t, file("huge"), nil)
	if err := os.Truncate(file("huge"), maxSize+1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"missing": "no such file",
		".":       "is not a regular file",
		"fifo":    "is not a regular file",
		"huge":    "has 536870913 bytes, want at most 536870912",
		"empty":   "want an undamaged MaxMind DB file (.mmdb)",
		"text":    "want an undamaged MaxMind DB file (.mmdb)",
		"half":    "want an undamaged MaxMind DB file (.mmdb)",
		"end":     "want an undamaged MaxMind DB file (.mmdb)",
		"zeros":   "the search tree has a circle",
		"between": "the search tree points between itself and the records",
		"asn":     `nothing in it has a country (its type is "My\nASN"), want one with countries`,
		"nothing": "nothing in it has a country",
	} {
		db, err := Open(file(name))
		if err == nil || db != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
			continue
		}
		if !strings.HasPrefix(err.Error(), "GeoIP database") || !strings.Contains(err.Error(), file(name)) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %q, want one line with the name of the file", name, err)
		}
	}
}

func TestChanged(t *testing.T) {
	name := filepath.Join(t.TempDir(), "db")
	data := countries(t, "1.0.0.0/8 SE")
	other := countries(t, "1.0.0.0/8 DE")
	for what, change := range map[string]func() error{
		"replaced by one that looks the same": func() error {
			write(t, name+".new", other)
			st, err := os.Stat(name)
			if err != nil {
				return err
			}
			if err := os.Chtimes(name+".new", st.ModTime(), st.ModTime()); err != nil {
				return err
			}
			return os.Rename(name+".new", name)
		},
		"another size": func() error { return os.Truncate(name, 1) },
		"another time": func() error { return os.Chtimes(name, time.Time{}, time.Unix(1, 0)) },
		"gone":         func() error { return os.Remove(name) },
	} {
		write(t, name, data)
		db, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if db.Name() != name || db.Built() != time.Unix(1, 0) {
			t.Errorf("%s, built at %v", db.Name(), db.Built())
		}
		if db.Changed() {
			t.Errorf("before it is %s: changed", what)
		}
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if !db.Changed() {
			t.Errorf("%s: not changed", what)
		}
		if got := db.Country(netip.MustParseAddr("1.2.3.4")); got != "SE" {
			t.Errorf("%s: what was read says %q", what, got)
		}
	}
}

// asked are addresses that go every way through a small tree.
var asked = []netip.Addr{
	netip.IPv4Unspecified(), netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("255.255.255.255"),
	netip.IPv6Unspecified(), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
}

// use checks that a file can be used, or is refused in one line.
func use(t *testing.T, data []byte) {
	t.Helper()
	db, err := parse(data)
	if err != nil {
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("more than one line: %q", err)
		}
		return
	}
	for _, addr := range asked {
		if code := db.Country(addr); code != "" && !isCode(code) {
			t.Errorf("%s is in %q", addr, code)
		}
	}
}

// A file that was cut, or has a wrong byte anywhere, is no danger.
func TestDamage(t *testing.T) {
	good := build(t, mmdbwriter.Options{IPVersion: 4}, map[string]mmdbtype.DataType{
		"1.0.0.0/8": record{"country": record{"iso_code": text("SE")}}, "2.0.0.0/7": record{"country_code": text("DE")},
	})
	for i := range good {
		use(t, good[:i])
		for _, mask := range []byte{0x01, 0x20, 0x80, 0xff} {
			bad := bytes.Clone(good)
			bad[i] ^= mask
			use(t, bad)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(countries(f, "1.0.0.0/8 SE", "2001:db8::/32 JP"))
	f.Add(build(f, mmdbwriter.Options{IPVersion: 4, RecordSize: 32}, map[string]mmdbtype.DataType{"127.0.0.0/8": record{"country": text("SE")}}))
	f.Fuzz(use)
}
