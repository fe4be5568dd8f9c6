package pen_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pen/internal/testenv"
)

// startProgram runs a program until the test ends, and waits for its address.
func startProgram(t *testing.T, addr string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out.String())
		}
	})
	for deadline := time.Now().Add(patience); !reachable(addr); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen on %s", name, addr)
		}
	}
	return cmd
}

// behindPen starts Pen in front of servers and returns its address.
func behindPen(t *testing.T, servers ...string) string {
	t.Helper()
	listen := testenv.Unused(t)
	startProgram(t, listen, filepath.Join(programs, "pen"), append([]string{"-f", "-r", listen}, servers...)...)
	return listen
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

func startNginx(t *testing.T) string {
	t.Helper()
	addr, dir := testenv.Unused(t), t.TempDir()
	conf := filepath.Join(dir, "nginx.conf")
	writeFile(t, filepath.Join(dir, "big"), strings.Repeat("0123456789abcdef", 4<<20/16))
	writeFile(t, conf, fmt.Sprintf(`daemon off; master_process off; pid %s/pid; error_log %s/error.log;
events { worker_connections 1024; }
http { access_log off; server { listen %s; root %s; location = / { return 200 "hello\n"; } client_max_body_size 9m; location = /put { proxy_pass http://%s/; } } }
`, dir, dir, addr, dir, addr))
	startProgram(t, addr, "nginx", "-p", dir, "-e", dir+"/error.log", "-c", conf)
	return addr
}

// HTTP with curl and wrk in front of real nginx servers.
func TestHTTP(t *testing.T) {
	pen := behindPen(t, startNginx(t), startNginx(t))
	if out := output(t, "curl", "-sS", "http://"+pen+"/"); out != "hello\n" {
		t.Errorf("curl: %q", out)
	}
	// Several requests on one connection, then a large body each way.
	if out := output(t, "curl", "-sS", "http://"+pen+"/", "http://"+pen+"/"); out != "hello\nhello\n" {
		t.Errorf("two requests: %q", out)
	}
	got := filepath.Join(t.TempDir(), "big")
	output(t, "curl", "-sS", "-o", got, "http://"+pen+"/big")
	if b := readFile(got); b != strings.Repeat("0123456789abcdef", 4<<20/16) {
		t.Errorf("a file of 4 MiB arrived as %d other bytes", len(b))
	}
	if out := output(t, "curl", "-sS", "-T", got, "http://"+pen+"/put"); out != "hello\n" {
		t.Errorf("upload: %q", out)
	}
	for _, header := range []string{"Connection: keep-alive", "Connection: close"} {
		out := output(t, "wrk", "-t1", "-c20", "-d2", "-H", header, "http://"+pen+"/")
		m := regexp.MustCompile(`(\d+) requests in`).FindStringSubmatch(out)
		if m == nil || m[1] == "0" || strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
			t.Errorf("wrk with %s:\n%s", header, out)
		}
	}
	resp, err := http.Get("http://" + pen + "/missing")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want nginx's own 404", resp.StatusCode)
	}
}

// Redis with its own client and benchmark.
func TestRedis(t *testing.T) {
	addr := testenv.Unused(t)
	host, port, _ := strings.Cut(addr, ":")
	startProgram(t, addr, "redis-server", "--bind", host, "--port", port, "--save", "", "--dir", t.TempDir())
	_, front, _ := strings.Cut(behindPen(t, addr), ":")
	if out := output(t, "redis-cli", "-p", front, "set", "pen", "ink"); out != "OK\n" {
		t.Errorf("set: %q", out)
	}
	if out := output(t, "redis-cli", "-p", front, "get", "pen"); out != "ink\n" {
		t.Errorf("get: %q", out)
	}
	out := output(t, "redis-benchmark", "-p", front, "-c", "30", "-n", "6000", "-t", "ping,set,get,lrange_300", "-P", "8", "-q")
	if n := strings.Count(out, "requests per second"); n < 4 {
		t.Errorf("redis-benchmark finished %d tests:\n%s", n, out)
	}
}
