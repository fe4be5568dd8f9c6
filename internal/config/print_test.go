package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pen/internal/check"
)

func TestPrint(t *testing.T) {
	c := apply(t, Default(), "geoip_db f", "acl 1 deny 10.0.0.0/8", "acl 1 permit country se", "server 1 address b port 2 weight 0", "emergency e:1", "listen 80", "weight")
	got := Print(c)
	want := strings.Join([]string{
		"no acl 0", "no acl 1", "acl 1 deny 10.0.0.0 255.0.0.0", "acl 1 permit country SE", "no acl 2", "no acl 3", "no acl 4", "no acl 5",
		"no acl 6", "no acl 7", "no acl 8", "no acl 9", "no ascii", "blacklist 30", "client_acl 0", "control_acl 0",
		"debug 0", "no hash", "no http", "no log", "no roundrobin", "server 1 acl 0 address b port 2 max 0 hard 0 weight 0", "no stubborn", "tcp_fastclose off",
		"timeout 5", "tracking 0", "no web_stats", "weight", "no prio", "emergency e:1", "geoip_db f", "listen 80", "",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every setting is saved.
func TestPrintKnowsEverySetting(t *testing.T) {
	for _, v := range table {
		listed := 0
		for _, saved := range savedVerbs {
			if saved.Name == v.Name {
				listed++
			}
		}
		if want := v.values != nil && v.saved != notSaved && v.Kind == Setting || v.save != nil; want != (listed == 1) || listed > 1 {
			t.Errorf("%s is listed %d times", v.Name, listed)
		}
	}
}

// checkRoundTrip reads what Print writes.
func checkRoundTrip(t interface{ Fatalf(string, ...any) }, c Config) {
	text := Print(c)
	got, run, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{"f": text}))
	if err != nil || run != nil {
		t.Fatalf("%v, %v in\n%s", err, run, text)
	}
	c.ConfigFile = ""
	if !reflect.DeepEqual(got, c) {
		t.Fatalf("got  %+v\nwant %+v\nfrom\n%s", got, c, text)
	}
}

func TestPrintParse(t *testing.T) {
	checkRoundTrip(t, Default())
	rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, configs().Draw(t, "config")) })
}

// FuzzPrintParse lets the fuzzer choose the Config.
func FuzzPrintParse(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) { checkRoundTrip(t, configs().Draw(t, "config")) }))
}

// FuzzParseLine checks that a line never crashes, that a bad one changes
// nothing, and that what a good one made can be saved.
func FuzzParseLine(f *testing.F) {
	for _, v := range table {
		f.Add(v.Name)
		f.Add("no " + v.Name + " 1")
		f.Add(v.Name + " 1 permit 10.0.0.1")
	}
	f.Fuzz(func(t *testing.T, line string) {
		base := apply(t, Default(), "server 1 address a port 1", "acl 1 permit ::1")
		cmd, err := ParseLine(line)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %q", err)
			}
			return
		}
		next, err := base.With(cmd)
		if err != nil {
			if strings.Contains(err.Error(), "there is no ser") {
				return // that can't be checked without the Config
			}
			t.Fatalf("checked, and yet: %v", err)
		}
		if want := apply(t, Default(), "server 1 address a port 1", "acl 1 permit ::1"); !reflect.DeepEqual(base, want) {
			t.Fatalf("the old one was changed: %+v", base)
		}
		if cmd.Verb != nil {
			cmd.Reply(next)
			cmd.Effect(Default())
		}
		checkRoundTrip(t, next)
	})
}

// configs generates any Config that commands and options can make.
func configs() *rapid.Generator[Config] {
	return rapid.Custom(func(t *rapid.T) Config {
		c := Config{Services: []Service{services(DefaultService).Draw(t, "first")}}
		for _, name := range []string{"web", "8", "a.b-c_"}[rapid.IntRange(0, 3).Draw(t, "services"):] {
			c.Services = append(c.Services, services(name).Draw(t, "service"))
		}
		for _, b := range []*bool{&c.Foreground, &c.ExitEnabled, &c.ASCII, &c.AbortOnErr} {
			*b = rapid.Bool().Draw(t, "flag")
		}
		c.Debug = rapid.IntRange(1, maxInt).Draw(t, "number")
		c.ControlACL = rapid.IntRange(0, 9).Draw(t, "list")
		c.ControlLevel = Level(rapid.IntRange(0, int(Admin)).Draw(t, "level"))
		for _, s := range []*string{
			&c.Control, &c.WebStats, &c.PidFile, &c.User, &c.Chroot, &c.Log, &c.GeoIPDB, &c.AgentListen,
			&c.ControlTokens.View, &c.ControlTokens.Operate, &c.ControlTokens.Admin,
		} {
			*s = anyWord().Draw(t, "word")
		}
		for i := range c.ACLs {
			for range rapid.IntRange(0, 3).Draw(t, "entries") {
				c.ACLs[i] = append(c.ACLs[i], entries().Draw(t, "entry"))
			}
		}
		return c
	})
}

func spec(text string) check.Spec {
	s, err := check.ParseSpec(strings.Fields(text))
	if err != nil {
		panic(err)
	}
	return s
}

func anyWord() *rapid.Generator[string] {
	return rapid.StringMatching(`([a-zåß/:.\[\]%][a-z#\x{a0}:]{0,5})?`)
}

// services generates any Service.
func services(name string) *rapid.Generator[Service] {
	return rapid.Custom(func(t *rapid.T) Service {
		c := defaultService(name)
		for _, b := range []*bool{&c.Hash, &c.Prio, &c.Weight, &c.RoundRobin, &c.Stubborn, &c.KeepAlive, &c.Dummy, &c.Transparent, &c.UDP} {
			*b = rapid.Bool().Draw(t, "flag")
		}
		for _, d := range []*time.Duration{&c.Blacklist, &c.Timeout, &c.Tracking, &c.IdleTimeout} {
			*d = rapid.OneOf(
				rapid.Map(rapid.Int64Range(1, maxInt), func(n int64) time.Duration { return time.Duration(n) * time.Second }),
				rapid.Map(rapid.Int64Range(int64(time.Millisecond), int64(maxInt)*int64(time.Second)), func(n int64) time.Duration { return time.Duration(n) }),
			).Draw(t, "duration")
		}
		c.ClientsMax = rapid.IntRange(1, maxClients).Draw(t, "clients")
		for _, n := range []*int{&c.ConnMax, &c.PendingMax, &c.Backlog, &c.MultiAccept} {
			*n = rapid.IntRange(1, maxInt).Draw(t, "number")
		}
		c.ClientACL = rapid.IntRange(0, 9).Draw(t, "list")
		listen := rapid.SliceOfNDistinct(anyWord().Filter(func(s string) bool { return s != "" }), 0, 3, rapid.ID).Draw(t, "listen")
		c.Listen = strings.Join(listen, " ")
		c.TableFile = rapid.SampledFrom([]string{"", "/var/lib/pen/clients"}).Draw(t, "table file")
		c.Table = rapid.SampledFrom([]string{"", "shared"}).Draw(t, "table")
		c.Balance = rapid.SampledFrom(append(balances, "")).Draw(t, "balance")
		if slices.Contains(bounded, c.Balance) {
			c.Bound = rapid.SampledFrom([]float64{0, 1.25, 1.0000001, 100}).Draw(t, "bound")
		}
		c.PerDatagram = c.Balance != "" && rapid.Bool().Draw(t, "per datagram")
		c.UDPPerPacket = rapid.Bool().Draw(t, "per packet")
		c.UDPResponses, c.UDPRequests = rapid.IntRange(-1, 9).Draw(t, "responses"), rapid.IntRange(0, 9).Draw(t, "requests")
		c.UDPUnproven = rapid.IntRange(0, maxInt).Draw(t, "unproven")
		c.Prefix4, c.Prefix6 = rapid.IntRange(0, 31).Draw(t, "prefix"), rapid.IntRange(0, 127).Draw(t, "prefix")
		c.SlowStart, c.MaxAge = c.Timeout, c.Blacklist
		c.Rebalance, c.Panic = c.ConnMax, rapid.IntRange(0, 100).Draw(t, "panic")
		c.CloseDown = rapid.Bool().Draw(t, "close")
		c.Check = rapid.SampledFrom([]check.Spec{{}, spec("tcp"), spec("https /x interval 200ms verify dry_run"), spec(`send a\s\x00 expect \\`)}).Draw(t, "check")
		c.Agent = rapid.SampledFrom([]check.Spec{{}, spec("agent port 9"), spec("agent send x port 9 interval 3")}).Draw(t, "agent")
		c.AgentPush = rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "push")
		c.Outlier = rapid.SampledFrom([]Outlier{{}, {Failures: 3}, {Resets: 2, Within: time.Second}, {1, 7, 300 * time.Millisecond, time.Hour, 50}}).Draw(t, "outlier")
		c.Limits = rapid.SampledFrom([]Limits{{}, {ClientConns: 3}, {4, 0.1, 5, 1000, 1. / 3, 1, 1e12, time.Second}}).Draw(t, "limits")
		if rapid.Bool().Draw(t, "queue") {
			c.Queue, c.QueueTime = c.ClientsMax, c.Timeout
		}
		c.Source = rapid.SampledFrom([]string{"", "127.0.0.9", "::1"}).Draw(t, "source")
		c.FastClose = rapid.SampledFrom([]string{"", "up", "down", "both"}).Draw(t, "fastclose")
		c.Abuse = servers(false).Draw(t, "abuse")
		for range rapid.IntRange(0, 3).Draw(t, "emergencies") {
			if s := servers(false).Draw(t, "emergency"); s.Used() {
				c.Emergency = append(c.Emergency, s)
			}
		}
		for range rapid.IntRange(0, 5).Draw(t, "servers") {
			slot, s := rapid.IntRange(0, 50).Draw(t, "slot"), servers(true).Draw(t, "server")
			if rapid.Bool().Draw(t, "has a name") {
				s.Name = fmt.Sprintf("s%d", slot)
			}
			s.State = rapid.SampledFrom([]State{Enabled, Draining, Disabled}).Draw(t, "state")
			c.setServer(slot, s)
		}
		return c
	})
}

// servers generates servers, for the table or for the last resort.
func servers(table bool) *rapid.Generator[Server] {
	return rapid.Custom(func(t *rapid.T) Server {
		s := Server{
			Host: rapid.SampledFrom([]string{"", "127.0.0.1", "::1", "fe80::1%eth0", "www.example.com", "/run/s", "::ffff:1.2.3.4"}).Draw(t, "host"),
			Port: rapid.IntRange(0, 65535).Draw(t, "port"),
			Max:  rapid.IntRange(0, maxInt).Draw(t, "max"),
			Hard: rapid.IntRange(0, maxInt).Draw(t, "hard"),
			Prio: rapid.IntRange(-maxInt, maxInt).Draw(t, "prio"),
		}
		if rapid.Bool().Draw(t, "named") {
			s.Port, s.Service = 0, rapid.SampledFrom([]string{"http", "9p", "x-ray"}).Draw(t, "service")
		}
		if s.WeightSet = rapid.Bool().Draw(t, "weighted"); s.WeightSet {
			s.Weight = rapid.IntRange(0, maxInt).Draw(t, "weight")
		}
		if table {
			s.ACL, s.Free = rapid.IntRange(0, 9).Draw(t, "acl"), !s.Used() && rapid.Bool().Draw(t, "free")
		} else if !s.Used() {
			return Server{}
		}
		return s
	})
}

func entries() *rapid.Generator[ACLEntry] {
	return rapid.Custom(func(t *rapid.T) ACLEntry {
		e := ACLEntry{Permit: rapid.Bool().Draw(t, "permit")}
		if rapid.Bool().Draw(t, "by country") {
			e.Country = rapid.StringMatching(`[A-Z]{2}`).Draw(t, "country")
			return e
		}
		if rapid.Bool().Draw(t, "IPv4") {
			e.Addr = netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "bytes")))
			e.Mask = rapid.Uint32().Draw(t, "mask")
			return e
		}
		addr := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes")))
		e.Bits = rapid.IntRange(0, 128).Draw(t, "bits")
		p := netip.PrefixFrom(addr, e.Bits).Masked()
		if p.Addr().Is4In6() {
			return ACLEntry{Permit: e.Permit, Addr: netip.IPv6LinkLocalAllNodes(), Bits: 128}
		}
		e.Addr = p.Addr()
		return e
	})
}

// The command line is C Pen's, word by word; what is not set is left out.
func TestCommandLine(t *testing.T) {
	c := apply(t, Default(), "listen 80 81", "server 0 address a")
	if got := CommandLine(c); got != "pen 80" {
		t.Errorf("got %s", got)
	}
	c = apply(t, c, "udp", "foreground", "exit_enabled", "clients_max 7", "conn_max 9", "emergency [::1]:1", "abuse b:2:3", "chroot /j", "pidfile /it's", "user joe", "control /c")
	c.ConfigFile = "f"
	want := `pen -U -f -X -c 7 -x 9 -e [::1]:1 -B b:2:3 -j '/j' -p '/it'\''s' -u 'joe' -F 'f' -C /c 80`
	if got := CommandLine(c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
