package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const fakePenEnv = "PENDEMO_TEST_PEN"

func TestMain(m *testing.M) {
	if name := os.Getenv(serverEnv); name != "" {
		os.Exit(serve(name))
	}
	if os.Getenv(fakePenEnv) != "" {
		os.Exit(fakePen(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// fakePen takes the place of Pen: `-f -C SOCKET LISTEN SERVER...`. Every
// connection goes to the first server that can be reached.
func fakePen(args []string) int {
	if len(args) < 5 || args[0] != "-f" || args[1] != "-C" {
		fmt.Fprintln(os.Stderr, "fake pen: unexpected arguments", args)
		return 2
	}
	control, err := net.Listen("unix", args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake pen:", err)
		return 1
	}
	defer control.Close()
	ln, err := net.Listen("tcp", args[3])
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake pen:", err)
		return 1
	}
	for {
		client, err := ln.Accept()
		if err != nil {
			return 1
		}
		for _, address := range args[4:] {
			if server, err := net.Dial("tcp", address); err == nil {
				go io.Copy(server, client)
				io.Copy(client, server)
				server.Close()
				break
			}
		}
		client.Close()
	}
}

func testOptions(t *testing.T) options {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(fakePenEnv, "1")
	t.Setenv("TMPDIR", t.TempDir())
	const free = "127.0.0.1:0"
	return options{pen: exe, listen: free, servers: []string{free, free, free}}
}

// show runs the demo and returns its output file, how to end it, and what it
// then returns.
func show(t *testing.T, o options) (out *os.File, end func() error) {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- run(ctx, o, out) }()
	end = func() error {
		cancel()
		return <-result
	}
	t.Cleanup(func() { out.Close() })
	return out, end
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("never happened: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func find(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in:\n%s", pattern, text)
	}
	return found[1]
}

func TestDemo(t *testing.T) {
	out, end := show(t, testOptions(t))
	ended := false
	defer func() {
		if !ended {
			end()
		}
	}()
	var text string
	eventually(t, "the demo says what to try", func() bool {
		b, _ := os.ReadFile(out.Name())
		text = string(b)
		return strings.Contains(text, "Ctrl-C")
	})
	url := find(t, `curl (http://\S+)`, text)
	ask := func() string {
		answer, err := get(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		return find(t, `^server \d, pid (\d+), asked by 127\.0\.0\.1:\d+\n$`, answer)
	}
	first := ask()
	if told := find(t, `kill (\d+)`, text); told != first || ask() != first {
		t.Errorf("told to kill %s, but served by %s", told, first)
	}
	control := find(t, `penctl (\S+) servers`, text)
	if st, err := os.Stat(control); err != nil || st.Mode()&os.ModeSocket == 0 {
		t.Errorf("%s is no socket: %v", control, err)
	}
	pid, _ := strconv.Atoi(first)
	if pid == os.Getpid() {
		t.Fatal("the server is no process of its own")
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another server takes over", func() bool {
		answer, err := get(t.Context(), url)
		return err == nil && !strings.Contains(answer, "pid "+first+",")
	})
	second, _ := strconv.Atoi(ask())
	ended = true
	if err := end(); err != nil {
		t.Error(err)
	}
	for _, pid := range []int{pid, second} {
		if err := syscall.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d: %v", pid, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(control)); !os.IsNotExist(err) {
		t.Errorf("the folder of the socket is left: %v", err)
	}
}

func TestTakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	for _, c := range []struct {
		option string
		set    func(*options)
	}{
		{"-listen", func(o *options) { o.listen = taken }},
		{"-servers", func(o *options) { o.servers[1] = taken }},
	} {
		o := testOptions(t)
		o.servers = slices.Clone(o.servers)
		c.set(&o)
		err := run(t.Context(), o, os.Stdout)
		if err == nil || !strings.Contains(err.Error(), taken) || !strings.HasSuffix(err.Error(), c.option) ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", c.option, err)
		}
	}
}

func TestPenThatFails(t *testing.T) {
	missing := testOptions(t)
	missing.pen = filepath.Join(t.TempDir(), "pen")
	if err := run(t.Context(), missing, os.Stdout); err == nil || !strings.Contains(err.Error(), "-pen") {
		t.Errorf("a missing Pen: got %v", err)
	}
	ending := testOptions(t)
	ending.servers = nil // the fake one refuses that
	if err := run(t.Context(), ending, os.Stdout); err == nil || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("a Pen that ends: got %v", err)
	}
}
