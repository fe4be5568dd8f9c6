package faults_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"pen/internal/testenv"
	"pen/test/internal/lab"
)

var (
	lostQueries = regexp.MustCompile(`Queries lost: +(\d+)`)
	sentQueries = regexp.MustCompile(`Queries sent: +(\d+)`)
)

// dnsperf starts to send queries at a rate for some seconds, from n sockets, each with
// at most one query outstanding. The function that it returns waits for the end.
func dnsperf(t *testing.T, at string, n, rate, seconds int) func() (sent, lost int) {
	t.Helper()
	data := filepath.Join(t.TempDir(), "queries")
	if err := os.WriteFile(data, []byte("who.test TXT\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(at)
	var out bytes.Buffer
	cmd := exec.Command("dnsperf", "-s", host, "-p", port, "-d", data, "-c", strconv.Itoa(n), "-q", strconv.Itoa(n),
		"-Q", strconv.Itoa(rate), "-l", strconv.Itoa(seconds), "-t", "1")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (sent, lost int) {
		t.Helper()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("dnsperf: %v\n%s", err, out.String())
		}
		count := func(what *regexp.Regexp) (n int) {
			m := what.FindSubmatch(out.Bytes())
			if m == nil {
				t.Fatalf("dnsperf does not say %v:\n%s", what, out.String())
			}
			n, _ = strconv.Atoi(string(m[1]))
			return n
		}
		return count(sentQueries), count(lostQueries)
	}
}

// When one of two DNS servers is killed under load, at most one query of each flow is
// lost, and none afterwards.
func TestDNSServerKilled(t *testing.T) {
	for _, sticky := range []bool{true, false} {
		t.Run(fmt.Sprintf("sticky=%v", sticky), func(t *testing.T) {
			const flows = 20
			a, addrA := lab.DNS(t, "unbound", "a")
			_, addrB := lab.DNS(t, "dnsmasq", "b")
			listen := testenv.Unused(t)
			args := []string{"-U", "-b", "600"}
			if !sticky {
				args = append(args, "-r")
			}
			pen := lab.StartPen(t, lab.Setup{Args: append(args, listen, addrA, addrB)})
			end := dnsperf(t, listen, flows, 2000, 4)
			underWay := regexp.MustCompile(`^0 .* sx [1-9]\d{3,} `)
			testenv.Eventually(t, "there is load", func() bool { return underWay.MatchString(pen.Ask("servers")) })
			if err := a.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			a.Wait()
			sent, lost := end()
			t.Logf("%d queries sent, %d lost, over %d flows", sent, lost, flows)
			if lost > flows || sent < 4000 {
				t.Errorf("%d of %d queries lost, want one for each of %d flows at most", lost, sent, flows)
			}
			if sent, lost := dnsperf(t, listen, flows, 2000, 1)(); lost > 0 {
				t.Errorf("afterwards %d of %d queries were lost", lost, sent)
			}
		})
	}
}
