package install_test

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// A shell completes a line with one of our scripts. The driver has it do so and prints
// what it offers.
type shell struct {
	name           string
	args           []string
	driver, script string
}

var shells = []shell{
	{"bash", []string{"--norc"}, "testdata/bash.sh", "packaging/completions/pen.bash"},
	{"fish", []string{"--no-config"}, "testdata/fish.fish", "packaging/completions/pen.fish"},
	{"zsh", []string{"-f"}, "testdata/zsh.zsh", "packaging/completions/pen.zsh"},
}

// A completion is a line, and the words that must be offered for it: exactly these or,
// if the last is "...", these and others.
type completion struct{ line, want string }

// completions are the same in all shells. CTL is the control socket of a running Pen.
var completions = []completion{
	{"pen --blackl", "--blacklist"},
	{"pen --tcp-fastclose ", "up down both off"},
	{"pen -u roo", "root"},
	{"pen -b ", ""},
	{"pen -O stub", "stubborn"},
	{"pen -F ma", "main.conf"},
	{"pen --config ma", "main.conf"},
	{"pen -j sock", "sockets"},
	{"penctl ma", "main.conf"},
	{"penctl CTL tcp_f", "tcp_fastclose"},
	{"penctl CTL ", "no acl blacklist server servers status write ..."},
	{"penctl CTL tcp_fastclose ", "up down both off"},
	{"penctl CTL acl ", "0 1 2 3 4 5 6 7 8 9"},
	{"penctl CTL acl 3 ", "insert replace permit deny"},
	{"penctl CTL acl 3 replace ", "permit deny"},
	{"penctl CTL client_acl ", "0 1 2 3 4 5 6 7 8 9"},
	{"penctl CTL include ma", "main.conf"},
	{"penctl CTL web_stats ma", "main.conf"},
	{"penctl CTL help serv", "server servers service services"},
	{"penctl CTL no stub", "stubborn"},
	{"penctl CTL no blackl", ""},
	{"penctl CTL no acl ", "0 1 2 3 4 5 6 7 8 9"},
	{"penctl CTL exit ", ""},
	{"penctl CTL server ", "0 1"},
	{"penctl CTL server 1 ", "acl address blacklist hard max name port prio send_proxy state tls tls_name weight remove"},
	{"penctl CTL server 1 max 3 ", "acl address blacklist hard max name port prio send_proxy state tls tls_name weight"},
	{"penctl CTL server 1 max ", ""},
	{"penctl CTL server 1 acl ", "0 1 2 3 4 5 6 7 8 9"},
	{"penctl CTL server 1 address ", "127.0.0.9 2001:db8::1"},
	{"penctl CTL drain ", "0 1"},
	{"penctl CTL drain 1 ", "within"},
	{"penctl CTL balance ma", "maglev"},
	{"penctl CTL balance round", "roundrobin"},
	{"penctl CTL balance maglev ", "bound per"},
	{"penctl CTL tls on name x ", "ca cert key alpn noverify"},
	{"penctl CTL limit client_", "client_conns client_rate"},
	{"penctl CTL agent ", "port push off"},
	{"penctl CTL service ", ""},
	{"penctl CTL plan ma", "main.conf"},
	{"penctl CTL emergency 127", "127.0.0.9"},
	{"penctl no/such/socket server ", ""},
	{"penctl no-port server ", ""},
}

func TestCompletions(t *testing.T) {
	dir := t.TempDir()
	lab.WriteFile(t, filepath.Join(dir, "main.conf"), "")
	if err := os.Mkdir(filepath.Join(dir, "sockets"), 0o755); err != nil {
		t.Fatal(err)
	}
	listen := testenv.Unused(t)
	ctl := filepath.Join(dir, "sockets", "ctl")
	lab.Start(t, listen, lab.Program(t, "pen"), "-f", "-C", ctl, listen, "127.0.0.9:80", "[2001:db8::1]:80")
	lines := slices.Clone(completions)
	for i, c := range lines {
		lines[i].line = strings.Replace(c.line, "CTL", "sockets/ctl", 1)
	}
	for _, shell := range shells {
		t.Run(shell.name, func(t *testing.T) { shell.complete(t, dir, lines) })
	}
}

// complete has the shell complete lines in a folder, and checks what it offers.
func (s shell) complete(t *testing.T, dir string, lines []completion) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*testenv.Limit) // for all lines
	defer cancel()
	driver, err := filepath.Abs(s.driver)
	if err != nil {
		t.Fatal(err)
	}
	args := append(slices.Clone(s.args), driver, filepath.Join(lab.Root(), s.script))
	for _, c := range lines {
		args = append(args, c.line)
	}
	cmd := exec.CommandContext(ctx, s.name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+lab.Programs(t)+":"+os.Getenv("PATH"), "HOME="+dir, "TERM=dumb", "LC_ALL=C.UTF-8")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	replies := strings.Split(string(out), "--end--\n")
	if err != nil || stderr.Len() > 0 || len(replies) != len(lines)+1 {
		t.Fatalf("%s: %v, %d replies to %d lines\n%s", s.name, err, len(replies)-1, len(lines), stderr.String())
	}
	for i, c := range lines {
		if got := offered(replies[i]); !offers(got, c.want) {
			t.Errorf("%s: %q: got %q, want %q", s.name, c.line, got, c.want)
		}
	}
}

// offered returns the words of a reply, sorted.
func offered(reply string) []string {
	var words []string
	for line := range strings.Lines(reply) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if word = strings.TrimSuffix(word, "/"); word != "" { // fish appends a slash to folders
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func offers(got []string, want string) bool {
	words := strings.Fields(want)
	if n := len(words) - 1; n >= 0 && words[n] == "..." {
		words = words[:n]
		got = slices.DeleteFunc(got, func(w string) bool { return !slices.Contains(words, w) })
	}
	slices.Sort(words)
	return slices.Equal(got, words)
}

// bash splits a line at colons and equals signs. Our script must cope with that.
func TestBashCompletionOfSplitWords(t *testing.T) {
	addr := fakePen(t, "0 addr 2001:db8::1 port 80\n")
	dir := t.TempDir()
	lab.WriteFile(t, filepath.Join(dir, "main.conf"), "")
	shells[0].complete(t, dir, []completion{
		{"penctl " + addr + " server ", "0"},
		{"penctl " + addr + " server 0 address ", "2001:db8::1"},
		{"penctl " + addr + " server 0 address 2001:db", "db8::1"}, // bash replaces what follows the last colon
		{"pen --config=ma", "main.conf"},
		{"pen --tcp-fastclose=", "up down both off"},
	})
}

// A program that answers in place of Pen can't make the shell run commands.
func TestCompletionsDoNotTrustPen(t *testing.T) {
	addr := fakePen(t, "0 addr $(touch${IFS}run) port 80\n1 addr `touch run` port 80\n$(touch${IFS}run) addr 192.0.2.1 port 80\n"+
		"3 addr ;touch port 80\n4 addr (unknown address family 0 port 0\n5 addr --what\n6 addr 192.0.2.6 port 80\n")
	for _, shell := range shells {
		dir := t.TempDir()
		shell.complete(t, dir, []completion{
			{"penctl " + addr + " server ", "0 1 3 4 5 6"},
			{"penctl " + addr + " server 0 address ", "192.0.2.1 192.0.2.6 --what"},
		})
		if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
			t.Errorf("%s has run what the reply said", shell.name)
		}
	}
}

// fakePen answers every command with the same reply, until the test ends.
func fakePen(t *testing.T, reply string) (addr string) {
	t.Helper()
	return testenv.Serve(t, func(c testenv.Conn) {
		bufio.NewReader(c).ReadString('\n')
		io.WriteString(c, reply)
	}).String()
}
