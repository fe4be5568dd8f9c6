package app

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pen/internal/build"
	"pen/internal/testenv"
)

// penctl returns the reply to a command at a control socket.
func penctl(t *testing.T, a *App, line string) string {
	t.Helper()
	cfg := a.Config()
	network, addr := "tcp", cfg.Control
	if strings.Contains(addr, "/") {
		network = "unix"
	} else if !strings.Contains(addr, ":") {
		addr = "127.0.0.1:" + addr
	}
	c, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, line+"\n")
	b, err := io.ReadAll(c)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func secretFile(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A TCP control port is for this machine, and for what harms least, unless more
// was said.
func TestControlPort(t *testing.T) {
	testenv.CheckLeaks(t)
	_, port, _ := strings.Cut(testenv.Unused(t), ":")
	token := secretFile(t, filepath.Join(t.TempDir(), "token"), "0123456789abcdef0123\n")
	for _, tt := range []struct{ control, line, want string }{
		{"", "server 0 weight 3", ""},
		{"", "blacklist 7", "7\n"},
		{"", "server 0 address 127.0.0.2", "server: needs level admin, this client has level operate; see control_level and control_token\n"},
		{"", "write /tmp/x", "write: only by a Unix control socket, or in the configuration file\n"},
		{"control_level admin", "server 0 address 127.0.0.2", ""},
		{"control_level admin", "check exec /bin/sh", "check: only by a Unix control socket, or in the configuration file\n"},
		{"control_token operate " + token, "pid", "pid: want a token first: auth TOKEN\n"},
		{"control_token operate " + token, "auth 0123456789abcdef0123 blacklist 7", "7\n"},
		{"control_token operate " + token, "auth 0123456789abcdef0124 blacklist 7", "auth: wrong token\n"},
	} {
		args := []string{"-u", "root", "-C", port, "127.0.0.1:0", "127.0.0.1:1"}
		if tt.control != "" {
			args = append([]string{"-O", tt.control}, args...)
		}
		a, err := New(parse(t, args...), quiet(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Start(); err != nil {
			t.Fatal(err)
		}
		if got := penctl(t, a, tt.line); got != tt.want {
			t.Errorf("%s: %s: %q, want %q", tt.control, tt.line, got, tt.want)
		}
		if refuses("127.0.0.1:"+port) || !refuses("127.0.0.2:"+port) {
			t.Errorf("port %s is not on 127.0.0.1 only", port)
		}
		if err := a.Stop(0); err != nil {
			t.Error(err)
		}
	}
}

// What other machines reach needs a guard, at the start, at --check, and for
// as long as Pen runs.
func TestControlNeedsAGuard(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	open := secretFile(t, filepath.Join(dir, "open"), "0123456789abcdef0123\n")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		guard []string
		want  string
	}{
		{nil, "want control_token LEVEL FILE, or control_acl N"},
		{[]string{"control_acl 3"}, "access list 3, which control_acl names, is empty"},
		{[]string{"acl 3 permit 10.0.0.0/8"}, "want control_token"},
		{[]string{"control_token admin " + dir + "/none"}, "no such file"},
		{[]string{"control_token admin " + dir}, "is not a regular file"},
		{[]string{"control_token admin " + open}, "(mode 0644), want 0600"},
		{[]string{"control_token admin " + secretFile(t, dir+"/short", "Secret\n")}, "line 1: not a token"},
		{[]string{"control_token admin " + secretFile(t, dir+"/empty", "\n")}, "there is no token in it"},
	} {
		args := []string{"-u", "root", "-C", "0.0.0.0:0", "127.0.0.1:0", "127.0.0.1:1"}
		for _, line := range tt.guard {
			args = append([]string{"-O", line}, args...)
		}
		_, err := New(parse(t, args...), quiet(t))
		for what, err := range map[string]error{"start": err, "--check": checkErr(parse(t, args...).Config)} {
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "Secret") {
				t.Errorf("%v: %s: %v, want %q", tt.guard, what, err, tt.want)
			}
		}
	}
	a := start(t, "-u", "root", "-C", "0.0.0.0:0", "-O", "control_acl 3", "-O", "acl 3 permit 127.0.0.0/8", "127.0.0.1:0", "127.0.0.1:1")
	for _, line := range []string{"no acl 3", "control_acl 0", "control_acl 4"} {
		if err := a.Apply(command(t, line)); err == nil || !strings.Contains(err.Error(), "other machines can reach it") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Nothing that Pen makes can be read by everybody, whatever its umask.
func TestModes(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	defer unix.Umask(unix.Umask(0))
	a := start(t, "-C", dir+"/ctl", "-l", dir+"/log", "-w", dir+"/stats", "--table-file", dir+"/table", "127.0.0.1:0", "127.0.0.1:1")
	a.WriteStats()
	if got := penctl(t, a, "write "+dir+"/conf"); got != "" {
		t.Error(got)
	}
	if err := a.saveAll(); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]fs.FileMode{"ctl": 0o600, "log": 0o640, "stats": 0o640, "conf": 0o600, "table": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v, want %v", name, st.Mode().Perm(), err, want)
		}
	}
}

// What can only be set at the start can't be set by the control socket, neither
// by itself nor by a file that it names.
func TestStartOnly(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	token := secretFile(t, dir+"/token", "0123456789abcdef0123\n")
	a := start(t, "-C", dir+"/ctl", "-p", dir+"/pid", "-O", "control_token view "+token, "127.0.0.1:0", "127.0.0.1:1")
	before := fmt.Sprint(a.Config())
	for _, line := range []string{
		"control 127.0.0.1:1", "no control", "agent_listen 127.0.0.1:0", "pidfile " + dir + "/other", "no pidfile", "user nobody", "chroot " + dir,
		"foreground on", "exit_enabled on", "control_level admin", "control_token admin " + token, "no control_token",
	} {
		err := a.Apply(command(t, line))
		if err == nil || !strings.Contains(err.Error(), "can only be set at the start") {
			t.Errorf("%s: %v", line, err)
		}
		_, err = a.Include("", secretFile(t, dir+"/file", line+"\n"))
		if err == nil || !strings.Contains(err.Error(), "only be made at the start") {
			t.Errorf("include of %s: %v", line, err)
		}
		if got := penctl(t, a, line); got == "" {
			t.Errorf("penctl %s: no error", line)
		}
		if after := fmt.Sprint(a.Config()); after != before {
			t.Fatalf("%s: has changed\n%s\nto\n%s", line, before, after)
		}
	}
}

// The control socket can use the programs that the configuration names, and no
// others.
func TestProgramsAreNamedInFiles(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	file := secretFile(t, dir+"/pen.conf", "service web\ncheck exec /bin/true\n")
	a := start(t, "-F", file, "-C", dir+"/ctl", "-O", "check exec /bin/false", "127.0.0.1:0", "127.0.0.1:1")
	never := secretFile(t, dir+"/include", "service web\ncheck exec /bin/sh interval 1\n")
	for line, ok := range map[string]bool{
		"check exec /bin/true interval 5":             true,
		"service web check exec /bin/false":           true,
		"check exec /bin/sh":                          false,
		"service web check exec /bin/sh":              false,
		"check exec " + dir + "/../../../bin/true":    false,
		"include " + never:                            false,
		"check exec /bin/true timeout 1s interval 2s": true,
	} {
		if got := penctl(t, a, line); strings.Contains(got, "can't name a new program") == ok {
			t.Errorf("%s: %q", line, got)
		}
	}
	if programs := a.Config().Programs(); len(programs) != 2 {
		t.Errorf("programs %v", programs)
	}
	secretFile(t, file, "service web\ncheck exec /bin/echo\n")
	if err := a.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := penctl(t, a, "check exec /bin/echo"); !strings.Contains(got, "exec /bin/echo") {
		t.Errorf("named by the file that was reloaded: %q", got)
	}
}

// What is in files stays in them.
func TestFilesAreNotQuoted(t *testing.T) {
	testenv.CheckLeaks(t)
	dir := t.TempDir()
	shadow := secretFile(t, dir+"/shadow", "root:$6$Secret:19000:0:99999:7:::\nnobody Secret\nblacklist Secret\n\nSecret\x00Secret\n")
	a := start(t, "-C", dir+"/ctl", "127.0.0.1:0", "127.0.0.1:1")
	for _, line := range []string{
		"include " + shadow, "plan " + shadow, "ssl " + shadow, "ssl_certificate " + shadow, "ssl_ca_file " + shadow, "tls on ca " + shadow,
		"tls on cert " + shadow, "geoip_db " + shadow, "ssl_ocsp_response " + shadow, "table_file " + shadow,
	} {
		reply := penctl(t, a, line)
		if strings.Contains(reply, "Secret") || strings.Contains(reply, "$6$") {
			t.Errorf("%s: %q", line, reply)
		}
		if (strings.HasPrefix(line, "include") || strings.HasPrefix(line, "plan")) && !strings.Contains(reply, "shadow:1: this line is not a command") {
			t.Errorf("%s: %q", line, reply)
		}
	}
}

// Half of what connections leave is for the control socket.
func TestControlSessions(t *testing.T) {
	for nofile, want := range map[uint64]int{20000: 128, 1024: 12, 600: 8, 64: 8} {
		a := &App{nofile: build.Descriptors(nofile)}
		if got := min(a.controlSessions(), 128); got != want {
			t.Errorf("%d descriptors: %d sessions, want %d", nofile, got, want)
		}
	}
}
