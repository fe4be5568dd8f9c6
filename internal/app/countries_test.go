package app

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/acl"
	"pen/internal/build"
	"pen/internal/config"
	"pen/internal/geoip"
	"pen/internal/testenv"
)

// writeCountries makes a data base of countries, or replaces one by renaming.
func writeCountries(t testing.TB, name string, lines ...string) {
	t.Helper()
	data, err := testenv.CountryDB(lines...)
	if err == nil {
		err = os.WriteFile(name+".new", data, 0o600)
	}
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// serves reports whether a client at 127.0.0.1 is served.
func serves(t *testing.T, a *App) bool { return visit(t, a.Addr()) == "one" }

const needsDB = "acl 1: country lists need a data base: geoip_db FILE"

// An order in the configuration file that has the data base last works too.
func TestCountries(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	db, file := filepath.Join(dir, "db"), filepath.Join(dir, "pen.conf")
	writeCountries(t, db, "127.0.0.1/32 SE")
	write(t, file, "client_acl 1\nacl 1 deny country se\ngeoip_db "+db+"\n")
	a := start(t, "-F", file, "127.0.0.1:0", named(t, "one"))
	if serves(t, a) {
		t.Error("serves a country that is denied")
	}
	if err := a.Apply(command(t, "no acl 1")); err != nil {
		t.Fatal(err)
	}
	if !serves(t, a) {
		t.Error("denies after no acl 1")
	}
	for _, line := range []string{"acl 1 permit country DE", "acl 1 permit country SE"} {
		if err := a.Apply(command(t, line)); err != nil {
			t.Fatal(err)
		}
		if got, want := serves(t, a), strings.HasSuffix(line, "SE"); got != want {
			t.Errorf("after %s: serves: %v, want %v", line, got, want)
		}
	}
}

// What keeps a Pen with countries from starting.
func TestCountriesAtStart(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	broken, good := filepath.Join(dir, "broken"), filepath.Join(dir, "good")
	write(t, broken, "no data base")
	writeCountries(t, good, "127.0.0.1/32 SE")
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-O", "acl 1 permit country SE"}, needsDB},
		{[]string{"-O", "acl 1 permit country SE", "--geoip-db", good, "-O", "no geoip_db"}, needsDB},
		{[]string{"--geoip-db", filepath.Join(dir, "missing")}, "missing: no such file"},
		{[]string{"--geoip-db", broken}, "GeoIP database " + broken + ": "},
		{[]string{"-O", "acl 1 permit country SE", "--geoip-db", good}, ""},
	} {
		inv := parse(t, append(tt.args, "127.0.0.1:0", "127.0.0.1:1")...)
		checked := checkErr(inv.Config)
		a, err := New(inv, quiet(t))
		if err == nil {
			err = a.Start()
			if stopped := a.Stop(0); stopped != nil {
				t.Error(stopped)
			}
		}
		for _, err := range []error{checked, err} {
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v: %v, want %q", tt.args, err, tt.want)
			}
		}
	}
	// --check looks for it where it will be after the change of root.
	inv := parse(t, "-j", dir, "--geoip-db", "/good", "127.0.0.1:0", "127.0.0.1:1")
	if err := checkErr(inv.Config); err != nil {
		t.Error(err)
	}
}

// At run time a bad data base, or none where one is needed, changes nothing.
func TestCountriesAtRunTime(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	db, broken, included := filepath.Join(dir, "db"), filepath.Join(dir, "broken"), filepath.Join(dir, "included")
	writeCountries(t, db, "127.0.0.1/32 SE")
	write(t, broken, "no data base")
	write(t, included, "blacklist 3\nno geoip_db\n")
	a := start(t, "-O", "client_acl 1", "127.0.0.1:0", named(t, "one"))
	refused := func(line, want string) {
		t.Helper()
		before := config.Print(a.Config())
		if _, err := ask(t, a, line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
		if got := config.Print(a.Config()); got != before {
			t.Errorf("%s changed something:\n%s", line, got)
		}
	}
	refused("acl 1 permit country SE", needsDB)
	refused("geoip_db "+broken, "want an undamaged MaxMind DB file")
	for _, line := range []string{"geoip_db " + db, "acl 1 permit country SE"} {
		if err := a.Apply(command(t, line)); err != nil {
			t.Fatal(err)
		}
	}
	refused("geoip_db "+broken, "want an undamaged MaxMind DB file")
	refused("geoip_db "+db+".missing", "no such file")
	refused("no geoip_db", needsDB)
	refused("include "+included, needsDB)
	if !serves(t, a) {
		t.Error("the old data base is not in use any more")
	}

	// Named again it is read again; any other command leaves it alone.
	writeCountries(t, db, "127.0.0.1/32 DE")
	if err := a.Apply(command(t, "timeout 7")); err != nil || !serves(t, a) {
		t.Errorf("after another command: %v, or the new data base is in use", err)
	}
	if err := a.Apply(command(t, "geoip_db "+db)); err != nil || serves(t, a) {
		t.Errorf("named again: %v, or the old data base is in use", err)
	}
	for _, line := range []string{"no acl 1", "no geoip_db"} {
		if err := a.Apply(command(t, line)); err != nil {
			t.Fatal(err)
		}
	}
	refused("acl 1 permit country SE", needsDB)
}

// A reload reads a data base that has changed, with and without a
// configuration file; what is wrong with it leaves everything as it was.
func TestCountriesReload(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	db, file := filepath.Join(dir, "db"), filepath.Join(dir, "pen.conf")
	write(t, file, "blacklist 20\n")
	for _, args := range [][]string{{"-F", file}, nil} {
		writeCountries(t, db, "127.0.0.1/32 SE")
		args = append(args, "--geoip-db", db, "-O", "acl 1 permit country SE", "-O", "client_acl 1", "127.0.0.1:0", named(t, "one"))
		a := start(t, args...)
		unchanged := a.countries
		reload := func(what, fails string, serve bool) {
			t.Helper()
			err := a.Reload()
			if (err == nil) != (fails == "") || err != nil && !(strings.HasPrefix(err.Error(), "nothing was changed: ") && strings.Contains(err.Error(), fails)) {
				t.Errorf("%s: %v, want %q", what, err, fails)
			}
			if got := serves(t, a); got != serve {
				t.Errorf("%s: serves: %v, want %v", what, got, serve)
			}
		}
		reload("unchanged", "", true)
		if a.countries != unchanged {
			t.Error("an unchanged data base was read again")
		}
		writeCountries(t, db, "127.0.0.1/32 DE")
		reload("changed", "", false)
		write(t, db, "broken") // in place, and shorter than what is in use
		reload("broken", "want an undamaged MaxMind DB file", false)
		if err := os.Remove(db); err != nil {
			t.Fatal(err)
		}
		reload("gone", "no such file", false)
		writeCountries(t, db, "127.0.0.1/32 SE")
		reload("good again", "", true)
	}
}

// A configuration file that asks for countries without a data base, or for
// another data base, is judged as a whole.
func TestCountriesReloadFile(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	db, other, file := filepath.Join(dir, "db"), filepath.Join(dir, "other"), filepath.Join(dir, "pen.conf")
	writeCountries(t, db, "127.0.0.1/32 SE")
	writeCountries(t, other, "127.0.0.1/32 DE")
	write(t, file, "blacklist 20\n")
	a := start(t, "-F", file, "127.0.0.1:0", named(t, "one"))
	for _, tt := range []struct {
		text, fails string
		serve       bool
	}{
		{"blacklist 40\nclient_acl 1\nacl 1 deny country SE\n", needsDB, true},
		{"acl 1 deny country SE\nclient_acl 1\ngeoip_db " + other + "\n", "", true},
		{"acl 1 deny country SE\nclient_acl 1\ngeoip_db " + db + "\n", "", false},
		{"acl 1 deny country SE\nclient_acl 1\n", needsDB, false},
		{"", "", true},
	} {
		write(t, file, tt.text)
		err := a.Reload()
		if (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) {
			t.Errorf("%q: %v, want %q", tt.text, err, tt.fails)
		}
		if got := serves(t, a); got != tt.serve {
			t.Errorf("%q: serves: %v, want %v", tt.text, got, tt.serve)
		}
	}
}

// The control socket's list may be by country as well.
func TestControlCountries(t *testing.T) {
	testenv.CheckLeaks(t)
	db := filepath.Join(t.TempDir(), "db")
	writeCountries(t, db, "127.0.0.1/32 SE", "2001:db8::/32 DE")
	a := start(t, "--geoip-db", db, "-O", "acl 5 permit country SE", "-O", "control_acl 5", "127.0.0.1:0", "127.0.0.1:1")
	for addr, want := range map[string]bool{"127.0.0.1": true, "127.0.0.2": false, "2001:db8::1": false, "": true} {
		ip, _ := netip.ParseAddr(addr) // "" is a Unix socket's client
		if got := a.Permits(ip); got != want {
			t.Errorf("%q: %v, want %v", addr, got, want)
		}
	}
}

// countryLists has three countries in list 1, and n networks in its data base.
func countryLists(t testing.TB, n int) *acl.Lists {
	t.Helper()
	name := filepath.Join(t.TempDir(), "db")
	var networks []string
	for i := range n {
		networks = append(networks, fmt.Sprintf("10.%d.%d.%d/26 %c%c", i>>10&0xff, i>>2&0xff, i&3<<6, 'A'+i%26, 'A'+i/26%26))
	}
	writeCountries(t, name, networks...)
	db, err := geoip.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.GeoIPDB = name
	cfg.ACLs[1] = []config.ACLEntry{{Country: "SE"}, {Country: "DE"}, {Country: "FR"}}
	built, err := build.New(build.Options{}).Build(t.Context(), cfg, db, nil)
	if err != nil {
		t.Fatal(err)
	}
	return built.Lists
}

func TestPermitsByCountryDoesNotAllocate(t *testing.T) {
	ls := countryLists(t, 100)
	for _, s := range []string{"10.0.7.1", "192.0.2.1", "2001:db8::1"} {
		addr := netip.MustParseAddr(s)
		if n := testing.AllocsPerRun(100, func() { ls.Permits(1, addr) }); n != 0 {
			t.Errorf("%s: %v allocations", s, n)
		}
	}
}

// BenchmarkPermitsByCountry is an answer of a list of three countries, with
// 50,000 networks in the data base.
func BenchmarkPermitsByCountry(b *testing.B) {
	ls := countryLists(b, 50000)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		ls.Permits(1, netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 1}))
	}
}
