package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// commandLines are right, with what they change. An underscore stands for a
// space inside of an argument.
var commandLines = []struct {
	args string
	want func(*Config)
}{
	{"80", func(c *Config) {}},
	{"80 a:81 b", func(c *Config) { c.Services[0].Servers = []Server{{Host: "a", Port: 81}, {Host: "b"}} }},
	{"80 -f a -rW b -c100", func(c *Config) {
		c.Services[0].Servers = []Server{{Host: "a"}, {Host: "b"}}
		c.Foreground, c.Services[0].RoundRobin, c.Services[0].Weight, c.Services[0].ClientsMax = true, true, true, 100
	}},
	{"-- 80 -f", func(c *Config) { c.Services[0].Servers = []Server{{Host: "-f"}} }},
	{"--foreground --clients=7 --blacklist 9 80", func(c *Config) {
		c.Foreground, c.Services[0].ClientsMax, c.Services[0].Blacklist = true, 7, 9*time.Second
	}},
	{"-h 80", func(c *Config) { c.Services[0].Hash = true }},
	{"-N 80", func(c *Config) { c.Services[0].Hash, c.Services[0].RoundRobin = true, true }},
	{"-ddd 80 --debug", func(c *Config) { c.Debug = 4 }},
	{"-b 3 -t 4 -T 5m -x 6 -q 7 -m 8 80", func(c *Config) {
		c.Services[0].Blacklist, c.Services[0].Timeout, c.Services[0].Tracking = 3*time.Second, 4*time.Second, 5*time.Minute
		c.Services[0].ConnMax, c.Services[0].Backlog, c.Services[0].MultiAccept = 6, 7, 8
	}},
	{"-C /ctl -p pid -u joe -w page -asX 80", func(c *Config) {
		c.Control, c.PidFile, c.User, c.WebStats = "/ctl", "pid", "joe", "page"
		c.ASCII, c.Services[0].Stubborn, c.ExitEnabled = true, true, true
	}},
	{"-e e:1:2:3 -B [::1]:4 80", func(c *Config) {
		c.Services[0].Emergency = []Server{{Host: "e", Port: 1, Max: 2, Hard: 3}}
		c.Services[0].Abuse = Server{Host: "::1", Port: 4}
	}},
	{"-O timeout_7 -o server_1_acl_3 80 a b:::::5", func(c *Config) {
		c.Services[0].Timeout = 7 * time.Second
		c.Services[0].Servers = []Server{{Host: "a"}, {Host: "b", Prio: 5, ACL: 3}}
	}},
	{"-b 1 -O blacklist_2 80", func(c *Config) { c.Services[0].Blacklist = 2 * time.Second }},
	{"-O blacklist_2 -b 1 80", func(c *Config) { c.Services[0].Blacklist = time.Second }},
	{"-O listen_81 82", func(c *Config) { c.Services[0].Listen = "81" }},
	{"80 a:1:2:3:0:-5", func(c *Config) {
		c.Services[0].Servers = []Server{{Host: "a", Port: 1, Max: 2, Hard: 3, WeightSet: true, Prio: -5}}
	}},
	{"80 /run/s:0:5 [fe80::1%eth0]:9", func(c *Config) {
		c.Services[0].Servers = []Server{{Host: "/run/s", Max: 5}, {Host: "fe80::1%eth0", Port: 9}}
	}},
	{"-F f -b 3 80 a:1", func(c *Config) {
		c.ConfigFile, c.Services[0].Blacklist, c.Services[0].ClientsMax = "f", 99*time.Second, 5
		c.Services[0].Servers = []Server{{Host: "z", Port: 1}, {Host: "y"}}
	}},
	{"-P 80", func(c *Config) {}},
}

func TestParseArgs(t *testing.T) {
	for _, tt := range commandLines {
		want := Default()
		want.Services[0].Listen = "80"
		tt.want(&want)
		open := files(map[string]string{"f": "blacklist 99\nserver 0 address z\nserver 1 address y\nclients_max 5\n"})
		args := strings.Fields(tt.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		inv, errs := ParseArgs(args, open)
		if len(errs) > 0 || len(inv.Warnings) > 0 || inv.Usage {
			t.Errorf("%s: %v %v %t", tt.args, errs, inv.Warnings, inv.Usage)
		}
		if !reflect.DeepEqual(inv.Config, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", tt.args, inv.Config, want)
		}
	}
}

// The Base, on which a reload builds, is what the command line alone says.
func TestBase(t *testing.T) {
	open := files(map[string]string{"f": "server 0 port 9\nacl 1 permit ::2\nservers\n"})
	inv, errs := ParseArgs([]string{"-F", "f", "-O", "acl 1 permit ::1", "80", "a:1"}, open)
	if len(errs) > 0 || len(inv.Run) != 1 || inv.Run[0].Origin != "f:3" {
		t.Fatal(errs, inv.Run)
	}
	if inv.Base.Services[0].Servers[0].Port != 1 || len(inv.Base.ACLs[1]) != 1 {
		t.Errorf("base: %+v", inv.Base)
	}
	if inv.Config.Services[0].Servers[0].Port != 9 || len(inv.Config.ACLs[1]) != 2 {
		t.Errorf("config: %+v", inv.Config)
	}
}

func TestParseArgsSpecial(t *testing.T) {
	for _, tt := range []struct {
		args                  string
		usage, version, check bool
		warnings              int
	}{
		{"--help", true, false, false, 0},
		{"-V", false, true, false, 0},
		{"--version -c 3", false, true, false, 0},
		{"--check", false, false, true, 0},
		{"--check 80 a", false, false, true, 0},
		{"-Q -D -n -S 16 80", false, false, false, 4},
		{"-DQ 80", false, false, false, 2},
	} {
		inv, errs := ParseArgs(strings.Fields(tt.args), files(nil))
		if len(errs) > 0 || inv.Usage != tt.usage || inv.Version != tt.version || inv.Check != tt.check || len(inv.Warnings) != tt.warnings {
			t.Errorf("%q: %v %+v", tt.args, errs, inv)
		}
	}
}

func TestParseArgsErrors(t *testing.T) {
	for _, tt := range []struct {
		args string
		want []string
	}{
		{"-t 0 80", []string{"option -t: timeout: "}},
		{"-c 0 80", []string{"option -c: clients_max: "}},
		{"-b soon -x many 80", []string{"option -b: blacklist: ", "option -x: conn_max: "}},
		{"--no-such-option 80", []string{"no-such-option"}},
		{"--client 5 80", []string{"did you mean --clients?"}},
		{"", []string{"no address to listen on"}},
		{"-f", []string{"no address to listen on"}},
		{"-f -F empty", []string{"empty: no address to listen on"}},
		{"-y 80", []string{"'y'"}},
		{"-c", []string{"argument"}},
		{"-f=no 80", []string{"takes no value"}},
		{"--foreground=false 80", []string{"takes no value"}},
		{"-i x 80", []string{"-i: Windows only"}},
		{"-O frobnicate 80", []string{`-O: unknown command "frobnicate"`}},
		{"-O include_gone 80", []string{"-O: open gone: "}},
		{"-F gone 80", []string{"open gone: "}},
		{"-F bad 80 a", []string{"bad:1: timeout: ", "bad:2: unknown command "}},
		{"80 a:8o!", []string{`server "a:8o!": port "8o!" is not a number`}},
		{"80 ::1:80", []string{`server "::1:80": no host`}},
		{"80 a:1:2:3:4:5:6", []string{"too many fields"}},
		{"-L tls9 80", []string{`option -L: ssl_protocol: "tls9" is none of ssl2, `}},
		{"-e a:-b! -w", []string{`option -e: emergency: server "a:-b!": port "-b!" is not a number`, "'w'"}},
	} {
		args := strings.Fields(tt.args)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "_", " ")
		}
		_, errs := ParseArgs(args, files(map[string]string{"bad": "timeout 0\nx\n", "empty": "timeout 3\n"}))
		if len(errs) != len(tt.want) {
			t.Errorf("%s: %v", tt.args, errs)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(errs[i].Error(), want) {
				t.Errorf("%s: %v, want %q", tt.args, errs[i], want)
			}
		}
	}
}

// Every letter of C Pen has an option, and every option a long name.
func TestEveryOptionHasANameOfBothKinds(t *testing.T) {
	fs := new(options).flags()
	for _, letter := range "BCFLOSTbceijlmopqtuwxADGEHKNPQRUVWXZadfhnrs" {
		if f := fs.ShorthandLookup(string(letter)); f == nil || f.Name == "" {
			t.Errorf("-%c: %v", letter, f)
		}
	}
}

func TestUsageAndHelp(t *testing.T) {
	u := Usage()
	for _, want := range []string{"usage: pen ", "-b, --blacklist TIME", "-O, --command", "--help", "-e, --emergency"} {
		if !strings.Contains(u, want) {
			t.Errorf("usage lacks %q", want)
		}
	}
	all, err := Help("")
	if err != nil {
		t.Error(err)
	}
	for _, v := range table {
		if v.Help == "" || !v.notBuilt && !strings.Contains(all, v.Name) {
			t.Errorf("%s has no help", v.Name)
		}
	}
	one, err := Help("blacklist")
	if err != nil || strings.Count(one, "\n") != 1 || !strings.HasPrefix(one, "blacklist [TIME] ") {
		t.Errorf("%q, %v", one, err)
	}
	if _, err := Help("frobnicate"); err == nil {
		t.Error("help frobnicate: no error")
	}
}

// A wrong command line is told from a wrong file: it is for who typed it.
func TestMisuse(t *testing.T) {
	open := files(map[string]string{"bad": "timeout 0", "good": "listen 80", "empty": ""})
	for args, misused := range map[string]bool{
		"": true, "-f": true, "-y 80": true, "-t 0 80": true, "80 a:b:c:d": true, "-O nonsense 80": true, "-t 0 -F bad": true,
		"-F bad": false, "-F gone": false, "-F empty": false, "--check -F bad": false,
	} {
		words := strings.Fields(args)
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "_", " ")
		}
		if inv, errs := ParseArgs(words, open); len(errs) == 0 || inv.Misused != misused {
			t.Errorf("%q: %v, misused %t", args, errs, inv.Misused)
		}
	}
	if inv, errs := ParseArgs([]string{"-F", "good"}, open); len(errs) > 0 || inv.Misused {
		t.Error(errs, inv.Misused)
	}
}

// An option with an empty value is an error or a question, and no more.
func TestEmptyOptions(t *testing.T) {
	for _, o := range Options() {
		if o.Args == "" || o.Long == "config" {
			continue
		}
		inv, errs := ParseArgs([]string{"--" + o.Long, "", "--listen", "80"}, files(nil))
		want := Default()
		want.Services[0].Listen = "80"
		if len(errs) == 0 && !reflect.DeepEqual(inv.Config, want) {
			t.Errorf("--%s '': %+v", o.Long, inv.Config)
		}
	}
}
