package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pen/internal/config"
	"pen/internal/testenv"
	"pgregory.net/rapid"
)

// checked is what pen --check says of a file.
func checked(t *testing.T, text string) string {
	t.Helper()
	file := newConfFile(t, text)
	inv, errs := config.ParseArgs([]string{"--check", "-F", file.name}, Open)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := checkErr(inv.Config); err != nil {
		return err.Error()
	}
	return ""
}

// Check finds what would keep Pen from starting, up to binding.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	const listen = "listen 127.0.0.1:7001\nserver 0 address 127.0.0.1 port 1\n"
	second := func(addr string) string { return listen + "service b\ndummy\nlisten " + addr + "\n" }
	for text, want := range map[string]string{
		listen:                              "",
		second("127.0.0.1:7002"):            "",
		second("127.0.0.2:7001"):            "",
		second("[::1]:7001"):                "",
		second("127.0.0.1:7001\nudp"):       "",
		second("127.0.0.1:0 127.0.0.1:0"):   "",
		second(filepath.Join(dir, "b")):     "",
		listen + "log 127.0.0.1:514\n":      "",
		listen + "log " + dir + "/log\n":    "",
		listen + "log " + file + "\n":       "",
		listen + "pidfile " + file + "\n":   "",
		listen + "control " + dir + "/c\n":  "",
		listen + "user root\nchroot " + dir: "",

		"listen 7001\ndummy\nservice b\ndummy\nlisten [::1]:7001\n": "",
		listen + "log 127.0.0.1:nowhere\n":                          "log 127.0.0.1:nowhere: ",
		"":                                                          "no address to listen on",
		"# nothing":                                                 "no address to listen on",
		second("127.0.0.1:7001"):                                    "service b: 127.0.0.1:7001: default service has 127.0.0.1:7001 already",
		second("7001"):                                              "service b: 7001: default service has 127.0.0.1:7001 already",
		second("0.0.0.0:7001"):                                      "service b: 0.0.0.0:7001: default",
		second("[::]:7001"):                                         "service b: [::]:7001: default",
		second(":::7001"):                                           "service b: :::7001: default",
		second("7002 127.0.0.3:7002"):                               "service b: 127.0.0.3:7002: service b has 7002 already",
		second(dir + "/b " + dir + "/../" + filepath.Base(dir) + "/b"):               "has " + dir + "/b already",
		second("127.0.0.1:7002 bad:address:x:y"):                                     `unknown port "y"`,
		second("no..such..host:7002"):                                                "service b: no..such..host:7002: unknown or invalid address [no..such..host]",
		second(dir + "/" + strings.Repeat("x", 108)):                                 "want at most 107 for a Unix socket",
		second(dir + "/none/b"):                                                      "service b: there is no folder " + dir + "/none",
		second(file):                                                                 "the file exists and is not a socket",
		listen + "control 127.0.0.1:7001\nuser root":                                 "control: 127.0.0.1:7001: default service has 127.0.0.1:7001 already",
		listen + "control foo":                                                       `control: address "127.0.0.1:foo": unknown port "foo"`,
		listen + "control " + dir + "/none/c":                                        "control: there is no folder " + dir + "/none",
		listen + "control " + dir + "/c\nagent_listen 127.0.0.1:7001":                "agent_listen: 127.0.0.1:7001: default service has",
		listen + "agent_listen foo":                                                  `agent_listen: address "127.0.0.1:foo"`,
		listen + "user no-such-user":                                                 "run as user no-such-user: ",
		listen + "chroot " + dir + "/none":                                           "chroot: there is no folder " + dir + "/none",
		listen + "chroot " + file:                                                    "chroot: there is no folder " + file,
		listen + "pidfile " + dir + "/none/pid":                                      "pidfile: there is no folder " + dir + "/none",
		listen + "pidfile " + dir:                                                    "pidfile: " + dir + " exists and is not a regular file",
		listen + "web_stats " + dir + "/none/page":                                   "web_stats: there is no folder",
		listen + "log " + dir + "/none/log":                                          "log: there is no folder",
		listen + "log " + dir:                                                        "log: " + dir + " is a folder",
		listen + "table_file " + file + "/x":                                         "table_file: ",
		listen + "chroot " + dir + "\nlog /none/log":                                 "log: there is no folder " + dir + "/none",
		listen + "table_file " + file + "\nservice b\ntable_file " + dir + "/./file": "service b: table_file " + dir + "/./file: default service has it already",
		second("127.0.0.1:7002\nssl_require_client"):                                 "service b: ssl_require_client: ",
		listen + "geoip_db " + dir + "/none":                                         "none",
	} {
		got := checked(t, text)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q:\n%s\nwant %q", text, got, want)
		}
	}
	all := checked(t, second("7001")+"udp off\ncontrol foo\nuser nobody.there\npidfile /none/pid\nagent_listen bar")
	if n := strings.Count(all, "\n") + 1; n != 5 {
		t.Errorf("%d errors, want all five:\n%s", n, all)
	}
}

// With a user, files are those that he may write.
func TestCheckOfUsersFilesAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	base := "listen 127.0.0.1:7001\ndummy\nuser nobody\n"
	for _, line := range []string{"pidfile " + dir + "/pid", "log " + dir + "/log", "web_stats " + dir + "/page", "table_file " + dir + "/table"} {
		want := dir + " can't be written by user nobody"
		if got := checked(t, base+line); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if got := checked(t, base+"pidfile "+dir+"/pid\nlog "+dir+"/log"); got != "" {
		t.Error(got)
	}
}

// What Check lets pass can be bound, and what it does not can't: the kernel judges.
func TestCheckAgreesWithNew(t *testing.T) {
	dir := t.TempDir()
	var ports []string
	for range 2 {
		ports = append(ports, portOf(testenv.Unused(t)))
	}
	hosts := []string{"", "127.0.0.1:", "127.0.0.2:", "0.0.0.0:", "[::1]:", "[::]:", "::1:"}
	address := rapid.Custom(func(t *rapid.T) string {
		if rapid.IntRange(0, 5).Draw(t, "unix") == 0 {
			return filepath.Join(dir, rapid.SampledFrom([]string{"a", "b", "no/c"}).Draw(t, "path"))
		}
		return rapid.SampledFrom(hosts).Draw(t, "host") + rapid.SampledFrom(append(ports, "0")).Draw(t, "port")
	})
	outcomes := map[bool]int{}
	rapid.Check(t, func(rt *rapid.T) {
		var b strings.Builder
		for i := range rapid.IntRange(0, 3).Draw(rt, "services") {
			if i > 0 {
				fmt.Fprintf(&b, "service s%d\n", i)
			}
			b.WriteString("dummy\n")
			if rapid.IntRange(0, 3).Draw(rt, "udp") == 0 {
				b.WriteString("udp\n")
			}
			fmt.Fprintf(&b, "listen %s\n", strings.Join(rapid.SliceOfN(address, 1, 2).Draw(rt, "listen"), " "))
			if rapid.IntRange(0, 3).Draw(rt, "table") == 0 {
				fmt.Fprintf(&b, "table_file %s/table\n", dir)
			}
			if rapid.IntRange(0, 9).Draw(rt, "route") == 0 {
				b.WriteString("route default s1\n")
			}
		}
		if rapid.IntRange(0, 3).Draw(rt, "control") == 0 {
			fmt.Fprintf(&b, "control %s/%s\n", dir, rapid.SampledFrom([]string{"a", "ctl"}).Draw(rt, "path"))
		}
		if rapid.IntRange(0, 3).Draw(rt, "agents") == 0 {
			fmt.Fprintf(&b, "agent_listen %s\n", address.Draw(rt, "agents"))
		}
		file := newConfFile(t, b.String())
		inv, errs := config.ParseArgs([]string{"--check", "-F", file.name}, Open)
		if len(errs) > 0 {
			rt.Fatal(errs)
		}
		check := checkErr(inv.Config)
		a, err := New(inv, quiet(t))
		if err == nil {
			a.Stop(0)
		}
		if (check == nil) != (err == nil) {
			rt.Fatalf("check says %v, New %v, of\n%s", check, err, b.String())
		}
		outcomes[err == nil]++
	})
	if outcomes[true] == 0 || outcomes[false] == 0 {
		t.Errorf("good and bad ones: %v, want some of both", outcomes)
	}
}
