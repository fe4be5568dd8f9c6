package config

import (
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// apply runs lines on a Config and fails the test if one of them is wrong.
func apply(t *testing.T, c Config, lines ...string) Config {
	t.Helper()
	for _, line := range lines {
		cmd, err := ParseLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		cmd.Origin = "a file" // where a flag by itself sets it
		if c, err = c.With(cmd); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	return c
}

// Several servers of last resort are a list in their order.
func TestEmergencyServers(t *testing.T) {
	c := apply(t, Default(), "emergency a:1 0.0.0.0:0 [::1]:2:5")
	if all := c.Services[0].Emergency; len(all) != 2 || all[0].Host != "a" || all[1].Host != "::1" || all[1].Max != 5 {
		t.Errorf("servers %+v", all)
	}
	lines := find("emergency").lines(&c, &c.Services[0])
	if !slices.Equal(lines, []string{"emergency a:1 [::1]:2:5"}) {
		t.Errorf("saved as %q", lines)
	}
	if again := apply(t, Default(), lines...); !reflect.DeepEqual(again, c) {
		t.Errorf("read again: %+v", again.Services[0].Emergency)
	}
	if c = apply(t, c, "emergency b:1"); len(c.Services[0].Emergency) != 1 || c.Services[0].Emergency[0].Host != "b" {
		t.Errorf("replaced by one: %+v", c.Services[0].Emergency)
	}
	if c = apply(t, c, "emergency a:1 b:1", "no emergency"); c.Services[0].Emergency != nil {
		t.Errorf("taken back: %+v", c.Services[0].Emergency)
	}
}

func TestReply(t *testing.T) {
	c := apply(t, Default(), "listen 127.0.0.1:80", "emergency [::1]:81:5", "tracking 1500ms", "stubborn")
	for _, tt := range []struct{ line, want string }{
		{"abort_on_error", "off\n"},
		{"abort_on_error on", ""},
		{"acl 1 permit 10.0.0.1", ""},
		{"no acl 1", ""},
		{"ascii", "off\n"},
		{"ascii yes", ""},
		{"no ascii", ""},
		{"http", "off\n"},
		{"http on", ""},
		{"hash", ""},
		{"blacklist", "30\n"},
		{"blacklist 17", "17\n"},
		{"client_acl 9", "9\n"},
		{"clients_max", "2048\n"},
		{"conn_max 10", "10\n"},
		{"control", "(null)\n"},
		{"control_acl", "0\n"},
		{"debug 100", "100\n"},
		{"emergency", "[::1]:81:5\n"},
		{"abuse", ""},
		{"epoll", ""},
		{"geoip_db", ""},
		{"geoip_db /usr/share/GeoIP/c.mmdb", "/usr/share/GeoIP/c.mmdb\n"},
		{"no geoip_db", ""},
		{"acl 1 permit country SE", ""},
		{"no hash", ""},
		{"idle_timeout", "Idle timeout: 0 seconds\n"},
		{"idle_timeout 0", "Idle timeout: 0 seconds\n"},
		{"listen", "127.0.0.1:80\n"},
		{"log", ""},
		{"no log", ""},
		{"mode", "no hash no roundrobin stubborn no weight no prio\n"},
		{"pending_max 100", ""},
		{"balance", "off\n"},
		{"balance maglev bound 2", "maglev bound 2\n"},
		{"no balance", ""},
		{"limit", "off\n"},
		{"check http /x", "http /x\n"},
		{"agent", "off\n"},
		{"outlier", "off\n"},
		{"queue 5 1", "5 1\n"},
		{"protocol", "tcp\n"},
		{"on_down", "keep\n"},
		{"tracking_prefix", "32 64\n"},
		{"server 1 address 127.0.0.1 port 80", ""},
		{"tarpit_acl", "tarpit_acl = -1"},
		{"tcp_fastclose off", ""},
		{"tcp_fastclose up", ""},
		{"tcp_fastclose", "off\n"},
		{"pending_max", "0\n"},
		{"timeout 6", "6\n"},
		{"timeout 200ms", "200ms\n"},
		{"tracking", "1.5s\n"},
		{"web_stats", ""},
		{"web_stats /tmp/x", "/tmp/x\n"},
		{"no web_stats", ""},
		{" \tblacklist\t5 # five\r\n", "5\n"},
	} {
		cmd, err := ParseLine(tt.line)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		next, err := c.With(cmd)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
		}
		if got := cmd.Reply(next); got != tt.want {
			t.Errorf("%s: replied %q, want %q", tt.line, got, tt.want)
		}
	}
}

func TestNothingToDo(t *testing.T) {
	for _, line := range []string{"", "  \t", "# comment", "  #x", "\r\n"} {
		if cmd, err := ParseLine(line); err != nil || cmd.Verb != nil {
			t.Errorf("%q: %v, %v", line, cmd.Verb, err)
		}
	}
}

func TestKinds(t *testing.T) {
	for line, want := range map[string]Kind{
		"blacklist 3": Setting, "blacklist": Question, "hash": Setting, "http": Question, "http on": Setting, "http off": Setting, "no http": Setting, "no web_stats": Setting,
		"web_stats": Question, "close 1": Action, "write": Action, "include f": Action, "exit": Action,
		"servers": Question, "recent 5": Question, "control": Question, "help blacklist": Question,
	} {
		if cmd, err := ParseLine(line); err != nil || cmd.Kind() != want {
			t.Errorf("%s: %v, %v, want %v", line, cmd.Kind(), err, want)
		}
	}
}

// lineErrors are lines with a part of what is said about them.
var lineErrors = []struct{ line, want string }{
	{"frobnicate 3", `unknown command "frobnicate"`},
	{"drian 3", `unknown command "drian"; did you mean drain?`},
	{"no accept_porxy", `unknown command "accept_porxy"; did you mean accept_proxy?`},
	{"no such_word", `unknown command "such_word"`},
	{"HTTP on", `unknown command "HTTP"; did you mean http?`},
	{"http offf", `http: "offf" is none of on, off, yes, no; did you mean off?`},
	{"http on please", `http: "please" is one word too many, want http [on|off]`},
	{"no http off", `http: "off" is one word too many, want no http`},
	{"timeout 5 seconds please", `timeout: "seconds" is one word too many, want timeout TIME`},
	{"blacklist 30 tiemout 2", `"tiemout" is one word too many, want blacklist TIME; the command timeout stands on a line of its own`},
	{"balance maglef", "did you mean maglev?"},
	{"server 0 adress a", `unknown key "adress", want one of acl, address,`},
	{"server 0 adress a", "did you mean address?"},
	{"acl 1 replace", "want entries to replace the list by"},
	{"acl 1 replace permit", "want: acl N permit|deny"},
	{"acl 1 replace permit 10.0.0.1 deny nonsense", `bogus address "nonsense"`},
	{"acl 1 replace 10.0.0.1", "want: acl N permit|deny"},
	{"acl 1 insert", "want the place of the new entry"},
	{"acl 1 premit 10.0.0.1", "did you mean permit?"},
	{"timeout\x005", "byte 8 of the line is NUL"},
	{"timeout 5\rtimeout 6", "byte 10 of the line is a carriage return"},
	{"clients_max 100000000", "number 100000000 is out of range, want 1 to 10000000"},
	{"acl", "acl: want the number of a list, 0 to 9"},
	{"no acl", "acl: want the number of a list, 0 to 9"},
	{"acl 11 permit 10.0.0.1", `acl: list "11" is out of range, want 0 to 9`},
	{"acl 1 allow 10.0.0.1", "want: acl N permit|deny"},
	{"acl 1 permit", "want: acl N permit|deny"},
	{"acl 1 permit 300.0.0.1", `bogus address "300.0.0.1"`},
	{"acl 1 permit 10.0.0.0/33", `bogus address "10.0.0.0/33"`},
	{"acl 1 permit 10.0.0.1 255.255", `bogus mask "255.255"`},
	{"acl 1 permit 10.0.0.1 255.0.0.0 more", `"more" is one word too many`},
	{"acl 1 permit 10.0.0.0/8 255.0.0.0", `"255.0.0.0" is one word too many`},
	{"acl 1 permit ::1 more", `"more" is one word too many`},
	{"acl 1 permit country", "acl: the country is missing, want two letters such as SE"},
	{"acl 1 permit country SWE", `acl: bogus country "SWE", want two letters such as SE`},
	{"acl 1 permit country S1", `bogus country "S1"`},
	{"acl 1 permit country ä", `bogus country "ä"`},
	{"acl 1 permit country SE DE", `"DE" is one word too many`},
	{"acl 1 permit Country SE", `bogus address "Country"`},
	{"blacklist soon", `blacklist: "soon" is not a duration`},
	{"blacklist -1", "out of range"},
	{"blacklist 99999999999", "not a duration"},
	{"timeout 0", "too short"},
	{"client_acl 12", "client_acl: list 12 is out of range, want 0 to 9"},
	{"clients_max 0", "out of range"},
	{"clients_max 1e3", "not a number"},
	{"include", "include: an argument is missing: include FILE"},
	{"connection", "connection: an argument is missing"},
	{"no blacklist", `there is no "no blacklist"`},
	{"no servers", `there is no "no servers"`},
	{"server", "server: want a slot"},
	{"server 1", "server: want a slot"},
	{"server x! max 3", `"x!" is not the number of a slot`},
	{"server 0 name 12", `name "12": want up to 64 letters`},
	{"server 0 state on", `state "on" is none of enabled, drain, disabled`},
	{"enable", "an argument is missing: enable N"},
	{"drain 1 within", "want drain N, or drain N within TIME"},
	{"drain 1 within x", `"x" is not a duration`},
	{"service", "an argument is missing: service NAME"},
	{"service a/b", `"a/b" can't be a name`},
	{"service web service web2", "a service has no services of its own"},
	{"service web control 10", "control is for all of Pen: say it without service web"},
	{"service web nonsense", `unknown command "nonsense"`},
	{"table b/c", `"b/c" can't be a name`},
	{"check agent port 3", "an agent is not a check"},
	{"check ping", "check: "},
	{"agent interval 3", "the port where it listens is missing, want port N"},
	{"agent push", "push has no value"},
	{"agent push 1ms", `"1ms" is too short`},
	{"balance best", `"best" is none of roundrobin, leastconn`},
	{"balance maglev bound", "want balance maglev, or balance maglev bound FACTOR"},
	{"balance maglev bound 1", `bound "1": want a factor above 1`},
	{"balance maglev per", "want balance maglev, or balance maglev bound FACTOR"},
	{"balance maglev per packet", "want balance maglev, or balance maglev bound FACTOR"},
	{"balance per datagram", `"per" is none of`},
	{"udp_responses -1", "-1"},
	{"balance first bound 2", "first has no bound, want hash or maglev"},
	{"tracking_prefix 33", "prefix 33 is out of range, want 1 to 32"},
	{"tracking_prefix 24 0", "prefix 0 is out of range, want 1 to 128"},
	{"outlier failures", `"failures" has no value`},
	{"outlier failures 2 often 3", `"often" is none of failures, resets`},
	{"outlier within 3", "within is for resets"},
	{"panic 101", "number 101 is out of range, want 0 to 100"},
	{"on_down die", `"die" is none of keep, close`},
	{"limit clients 3", `"clients" is none of client_conns, client_rate`},
	{"limit conns", "conns has no value, want limit conns N"},
	{"limit client_rate 3/d", `"3/d" is not a rate, want such as 20/s`},
	{"limit bandwidth 3T", `"3T" is not a number of bytes a second`},
	{"limit bandwidth 99999999999G", `"99999999999G" is not a number`},
	{"queue 5", "want how many may wait, and how long: queue N TIME"},
	{"queue 5 0", `"0" is too short to wait`},
	{"protocol sctp", `"sctp" is none of tcp, udp`},
	{"server -1 max 3", `"-1" is not the number of a slot`},
	{"server 65536 max 3", `"65536" is not the number of a slot`},
	{"server 1 max", `server: 1: "max" has no value`},
	{"server 1 weight heavy", `weight "heavy" is not a number`},
	{"server 1 colour red", `unknown key "colour"`},
	{"server 1 port 65536", "port 65536 is out of range"},
	{"server 1 acl 10", "acl 10 is out of range, want 0 to 9"},
	{"server 1 blacklist never", `blacklist "never" is not a duration`},
	{"server 1 address 10.0.0.1:80", "the port is a word of its own"},
	{"server 1 address []", "no host"},
	{"server 1 address [[x]]", "brackets around IPv6 only"},
	{"server 1 remove now", `unknown key "remove"`},
	{"emergency :80", "no host"},
	{"emergency a:1 b:1.5", `port "1.5" is not a number`},
	{"emergency" + strings.Repeat(" a:1", 17), "emergency"},
	{"emergency a:1.5", `port "1.5" is not a number`},
	{"emergency [::1", "the bracket is not closed"},
	{"emergency [::1]80", "want a colon behind the bracket"},
	{"emergency a:1:2:3:4:5:6", "too many fields"},
	{"dsr_if", "not built yet: dsr_if"},
	{"tcp_fastclose sometimes", `"sometimes" is none of up, down, both, off`},
	{"source here", "unable to set source address to 'here'"},
	{"source", "an argument is missing"},
	{"idle_timeout -1", "out of range"},
	{strings.Repeat("x", 4096), "more than 4095 bytes"},
	{"web_stats " + strings.Repeat("x", 4000), "a word of 4000 bytes"},
}

func TestLineErrors(t *testing.T) {
	for _, tt := range lineErrors {
		_, err := ParseLine(tt.line)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: %v, want %q", tt.line, err, tt.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%.60s: more than one line: %q", tt.line, err)
		}
	}
}

// What C Pen writes where nothing is set has no effect and is no error.
func TestWhatAlreadyIs(t *testing.T) {
	for _, line := range []string{
		"no log", "no tcp_nodelay", "no transparent", "no keepalive", "no http", "no dummy",
		"tcp_fastclose off", "idle_timeout 0", "idlers 0", "tarpit_acl -1", "block", "no block",
		"delayed_forward", "no delayed_forward", "epoll", "kqueue", "poll", "select",
	} {
		if c := apply(t, Default(), line); !reflect.DeepEqual(c, Default()) {
			t.Errorf("%s changed something: %+v", line, c)
		}
	}
}

func TestServerCommand(t *testing.T) {
	c := apply(t, Default(), "server 2 address 127.0.0.1 port 80 max 3", "server 2 weight 0 hard 5 prio -4 acl 9", "server 0 address /run/s")
	want := []Server{
		{Host: "/run/s"},
		{},
		{Host: "127.0.0.1", Port: 80, Max: 3, Hard: 5, WeightSet: true, Prio: -4, ACL: 9},
	}
	if !reflect.DeepEqual(c.Services[0].Servers, want) {
		t.Errorf("got %+v", c.Services[0].Servers)
	}
	// One bad word, and nothing of the line is applied.
	bad := Command{Verb: find("server"), Args: strings.Fields("2 max 99 weight heavy")}
	if got, err := c.With(bad); err == nil || !reflect.DeepEqual(got, c) {
		t.Errorf("%v: %+v", err, got.Services[0].Servers)
	}
	if c = apply(t, c, "server 2 remove"); !reflect.DeepEqual(c.Services[0].Servers, want[:1]) {
		t.Errorf("after remove: %+v", c.Services[0].Servers)
	}
	// A slot that is freed stays in the table, and takes another server.
	for _, none := range []string{"0.0.0.0", "0", "0x0", "00.0"} {
		if freed := apply(t, c, "server 0 address "+none); !reflect.DeepEqual(freed.Services[0].Servers, []Server{{Free: true}}) {
			t.Errorf("after %s: %+v", none, freed.Services[0].Servers)
		} else if again := apply(t, freed, "server 0 address /run/s"); !reflect.DeepEqual(again, c) {
			t.Errorf("after the same address again: %+v", again.Services[0].Servers)
		}
	}
}

// Addresses are read as C Pen does, by inet_aton, and written as everybody does.
func TestOldFormsOfAddresses(t *testing.T) {
	for word, want := range map[string]string{
		"127.1": "127.0.0.1", "0x7f000001": "127.0.0.1", "2130706433": "127.0.0.1", "0177.0.0.1": "127.0.0.1", "0X7F.1": "127.0.0.1", "10.257": "10.0.1.1",
		"10.1.258": "10.1.1.2", "1": "0.0.0.1", "4294967295": "255.255.255.255",
		"4294967296": "4294967296", "1.2.3.256": "1.2.3.256", "256.1": "256.1", "1.": "1.", "0b1": "0b1", "0o17": "0o17", "1_0": "1_0", "08": "08", "1.2.3.4.5": "1.2.3.4.5",
		"0xfg": "0xfg", "-1": "-1", "1.2.3.+4": "1.2.3.+4",
	} {
		if c := apply(t, Default(), "server 0 address "+word); c.Services[0].Servers[0].Host != want {
			t.Errorf("%s: %s, want %s", word, c.Services[0].Servers[0].Host, want)
		}
	}
	if c := apply(t, Default(), "acl 1 permit 10.1", "emergency 127.1:80", "source 127.1"); c.ACLs[1][0].Addr.String() != "10.0.0.1" || c.Services[0].Emergency[0].Host != "127.0.0.1" || c.Services[0].Source != "127.0.0.1" {
		t.Errorf("%+v %+v %s", c.ACLs[1], c.Services[0].Emergency, c.Services[0].Source)
	}
}

func TestEffect(t *testing.T) {
	c := apply(t, Default(), "server 1 address a", "server 3 address b name web")
	for _, tt := range []struct {
		line  string
		slots []int
		wrong bool
	}{
		{"server 3 max 5 blacklist 90", []int{3}, false},
		{"server web blacklist 90", []int{3}, false},
		{"server 0-9 blacklist 90", []int{1, 3}, false},
		{"server 2 blacklist 90", nil, true},
		{"server 4-9 blacklist 90", nil, true},
	} {
		cmd, err := ParseLine(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		e, err := cmd.Effect(c)
		if (err != nil) != tt.wrong || !slices.Equal(e.Blacklist, tt.slots) || !tt.wrong && e.BlacklistTime != 90*time.Second {
			t.Errorf("%s: %+v %v", tt.line, e, err)
		}
	}
	for _, line := range []string{"blacklist 3", "server 3 max 5", "servers"} {
		if e, err := parsed(t, line).Effect(c); err != nil || e.Blacklist != nil || e.Resolve {
			t.Errorf("%s: does %+v, %v", line, e, err)
		}
	}
	for line, want := range map[string]Effect{
		"server web address c":     {Service: DefaultService, Resolve: true},
		"drain web within 3":       {Service: DefaultService, Drain: []int{3}, DrainTime: 3 * time.Second},
		"geoip_db f":               {ReadCountries: true},
		"service x server 0 max 3": {Service: "x"},
	} {
		if e, err := parsed(t, line).Effect(c); err != nil || !reflect.DeepEqual(e, want) {
			t.Errorf("%s: does %+v, %v", line, e, err)
		}
	}
}

// Configs made from the same one do not see each other's changes.
func TestWithLeavesTheOthersAlone(t *testing.T) {
	base := apply(t, Default(), "server 0 address a port 1", "server 1 address b port 1", "acl 1 deny ::1", "acl 1 deny ::2", "acl 1 deny ::3")
	first := apply(t, base, "server 0 port 2", "acl 1 permit 10.0.0.1")
	second := apply(t, base, "server 0 port 3", "acl 1 permit 10.0.0.2", "no acl 2", "server 1 remove")
	if base.Services[0].Servers[0].Port != 1 || len(base.ACLs[1]) != 3 || len(base.Services[0].Servers) != 2 {
		t.Errorf("base: %+v", base)
	}
	if first.Services[0].Servers[0].Port != 2 || first.ACLs[1][3].Addr.String() != "10.0.0.1" {
		t.Errorf("first: %+v", first)
	}
	if second.Services[0].Servers[0].Port != 3 || second.ACLs[1][3].Addr.String() != "10.0.0.2" || len(second.Services[0].Servers) != 1 {
		t.Errorf("second: %+v", second)
	}
}

// files opens what a map holds.
func files(m map[string]string) Opener {
	return func(name string) (io.ReadCloser, error) {
		text, ok := m[name]
		if !ok {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return io.NopCloser(strings.NewReader(text)), nil
	}
}

func TestReadFile(t *testing.T) {
	base := apply(t, Default(), "server 0 address a port 1")
	before := base
	before.own()
	c, run, err := ReadFile(base, DefaultService, "f", files(map[string]string{
		"f": "blacklist 3\r\ninclude g\nserver 0 port 2 blacklist 40\nserver 0 port 3\nmode\nwrite x",
		"g": "timeout 7\nclose 4\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if c.Services[0].Blacklist != 3*time.Second || c.Services[0].Timeout != 7*time.Second || c.Services[0].Servers[0].Port != 3 {
		t.Errorf("got %+v", c)
	}
	if !reflect.DeepEqual(base, before) {
		t.Errorf("base is changed: %+v", base)
	}
	var got []string
	for _, cmd := range run {
		got = append(got, fmt.Sprint(cmd.Origin, " ", cmd.Verb.Name, " ", cmd.Args))
	}
	want := []string{"g:2 close [4]", "f:3 server [0 blacklist 40]", "f:5 mode []", "f:6 write [x]"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("to run: %q", got)
	}
}

func TestReadFileErrors(t *testing.T) {
	var deep []string
	m := map[string]string{
		"bad":   "blacklist soon\ntimeout 3\nserver 1 weight heavy\ninclude gone\ninclude worse\n",
		"worse": "frobnicate",
		"self":  "include ./self\ninclude self\n",
		"long":  "timeout 3\n" + strings.Repeat("x", 5000) + "\ntimeout 0\n",
		"huge":  "timeout 3\n" + strings.Repeat("x", 50000) + "\n",
		"many":  strings.Repeat("include empty\n", 1001),
		"empty": "",
		"noise": strings.Repeat("x\n", 5000),
	}
	for i := range 20 {
		m[fmt.Sprint("deep", i)] = fmt.Sprint("include deep", i+1)
		deep = append(deep, fmt.Sprint("deep", i))
	}
	m["./self"] = m["self"]
	for _, tt := range []struct {
		name string
		want []string
		n    int
	}{
		{"bad", []string{"bad:1: blacklist: ", "bad:3: server: 1: weight ", "bad:4: open gone: ", "worse:1: unknown command "}, 4},
		{"self", []string{"self:1: include: ./self includes itself", "self:2: include: self includes itself"}, 2},
		{"long", []string{"long:2: a line of more than 4095 bytes", "long:3: timeout: "}, 2},
		{"huge", []string{"huge:2: a line of more than 4095 bytes"}, 1},
		{"many", []string{"many:1000: include: empty comes after 1000 files"}, 2},
		{"noise", []string{"noise:1000: unknown command"}, maxErrors},
		{deep[0], []string{"deep10:1: include: deep11 is more than 10 files deep"}, 1},
		{"missing", []string{"open missing: file does not exist"}, 1},
	} {
		c, run, err := ReadFile(Default(), DefaultService, tt.name, files(m))
		if err == nil || run != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("%s: %v, %v, %+v", tt.name, err, run, c)
			continue
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != tt.n {
			t.Errorf("%s: %d errors, want %d: %.500v", tt.name, n, tt.n, err)
		}
		for _, want := range tt.want {
			if !strings.Contains("\n"+err.Error(), "\n"+want) {
				t.Errorf("%s: %.500v, want %q", tt.name, err, want)
			}
		}
	}
}

// Files come from editors of all systems.
func TestEncodingsOfFiles(t *testing.T) {
	for text, want := range map[string]string{
		"\xef\xbb\xbfblacklist 7\r\ntimeout 9":        "",
		"blacklist 7\r\n\r\n# x\r\ntimeout 9\r\n":     "",
		"\xff\xfeb\x00l\x00":                          "f:1: the file is in UTF-16, want UTF-8 or ASCII",
		"\xfe\xff\x00b\x00l":                          "f:1: the file is in UTF-16",
		"\xff\xfe\x00\x00b\x00\x00\x00":               "f:1: the file is in UTF-32",
		"blacklist 7\nblack\x00list":                  "f:2: byte 6 of the line is NUL",
		"blacklist 7\rtimeout 9":                      "f:1: byte 12 of the line is a carriage return",
		"blacklist " + strings.Repeat("7", 2_000_000): "f:1: ",
	} {
		c, _, err := ReadFile(Default(), DefaultService, "f", files(map[string]string{"f": text}))
		switch {
		case want == "" && (err != nil || c.Services[0].Blacklist != 7*time.Second || c.Services[0].Timeout != 9*time.Second):
			t.Errorf("%.40q: %v, blacklist %v, timeout %v", text, err, c.Services[0].Blacklist, c.Services[0].Timeout)
		case want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)):
			t.Errorf("%.40q: %.100v, want %s", text, err, want)
		}
	}
}
