package peers_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

// inFront starts Pen in front of servers and returns its address.
func inFront(t *testing.T, servers ...string) string {
	t.Helper()
	listen := testenv.Unused(t)
	lab.Start(t, listen, lab.Program(t, "pen"), append([]string{"-f", "-r", listen}, servers...)...)
	return listen
}

// HTTP with curl and wrk in front of real nginx servers.
func TestHTTP(t *testing.T) {
	pen := inFront(t, lab.Nginx(t), lab.Nginx(t))
	if out := lab.Output(t, "curl", "-sS", "http://"+pen+"/"); out != "hello\n" {
		t.Errorf("curl: %q", out)
	}
	// Several requests on one connection, then a large body each way.
	if out := lab.Output(t, "curl", "-sS", "http://"+pen+"/", "http://"+pen+"/"); out != "hello\nhello\n" {
		t.Errorf("two requests: %q", out)
	}
	got := filepath.Join(t.TempDir(), "big")
	lab.Output(t, "curl", "-sS", "-o", got, "http://"+pen+"/big")
	if b := lab.ReadFile(got); b != lab.BigFile {
		t.Errorf("a file of 4 MiB arrived as %d other bytes", len(b))
	}
	if out := lab.Output(t, "curl", "-sS", "-T", got, "http://"+pen+"/put"); out != "hello\n" {
		t.Errorf("upload: %q", out)
	}
	for _, header := range []string{"Connection: keep-alive", "Connection: close"} {
		out := lab.Output(t, "wrk", "-t1", "-c20", "-d2", "-H", header, "http://"+pen+"/")
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
	lab.Start(t, addr, "redis-server", "--bind", host, "--port", port, "--save", "", "--dir", t.TempDir())
	_, front, _ := strings.Cut(inFront(t, addr), ":")
	if out := lab.Output(t, "redis-cli", "-p", front, "set", "pen", "ink"); out != "OK\n" {
		t.Errorf("set: %q", out)
	}
	if out := lab.Output(t, "redis-cli", "-p", front, "get", "pen"); out != "ink\n" {
		t.Errorf("get: %q", out)
	}
	out := lab.Output(t, "redis-benchmark", "-p", front, "-c", "30", "-n", "6000", "-t", "ping,set,get,lrange_300", "-P", "8", "-q")
	if n := strings.Count(out, "requests per second"); n < 4 {
		t.Errorf("redis-benchmark finished %d tests:\n%s", n, out)
	}
}
