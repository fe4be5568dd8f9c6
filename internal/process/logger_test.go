package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pen/internal/testenv"
)

func TestLogLines(t *testing.T) {
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want string // INFO if it names no level
	}{
		{"text", func(l *slog.Logger) { l.Info(`bind "x": it = taken`) }, `bind "x": it = taken`},
		{"values", func(l *slog.Logger) {
			l.Warn("up", "n", 3, "ok", true, "in", 5*time.Second, "err", errors.New("boom"), "nil", nil)
		}, "WARN up n=3 ok=true in=5s err=boom nil=<nil>"},
		{
			"quoted", func(l *slog.Logger) { l.Info("a", "b", "two words", "c", "", "d", `x="y"`) },
			`a b="two words" c="" d="x=\"y\""`,
		},
		{
			"controls", func(l *slog.Logger) { l.Info("a\r\nb\x1b[31m\x9b\u202e", "k\n", "v\n\x00\xff") },
			`a\r\nb\x1b[31m\x9b\u202e k\n="v\n\x00\xff"`,
		},
		{"umlaut", func(l *slog.Logger) { l.Info("grün", "wo", "Zürich") }, "grün wo=Zürich"},
		{"groups", func(l *slog.Logger) {
			l.With("a", 1).WithGroup("").WithGroup("g").With("b", 2).Info("x", "c", 3,
				slog.Group("h", "d", 4), slog.Group("", "e", 5), slog.Attr{})
		}, "x a=1 g.b=2 g.c=3 g.h.d=4 g.e=5"},
		{
			"long", func(l *slog.Logger) { l.Info("x" + strings.Repeat("ü", logLine)) },
			"x" + strings.Repeat("ü", logLine/2-1) + "...",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b bytes.Buffer
				l := StartLogger(&b)
				stamp := time.Now().Format(time.DateTime)
				c.log(l.Logger)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				want := stamp + ": "
				if !strings.HasPrefix(c.want, "WARN ") {
					want += "INFO "
				}
				if want += c.want + "\n"; b.String() != want {
					t.Errorf("\n got %q\nwant %q", b.String(), want)
				}
			})
		})
	}
}

// A report is written whole, however many lines it has.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := StartLogger(&b)
		text := strings.Repeat("client\t192.0.2.7\n", 10*logQueue) + "the\x1b end"
		l.Report(text)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		if len(lines) != 10*logQueue+1 || !strings.HasSuffix(lines[0], `: INFO client\t192.0.2.7`) || !strings.HasSuffix(lines[10*logQueue], `: INFO the\x1b end`) {
			t.Errorf("%d lines, the first %q, the last %q", len(lines), lines[0], lines[len(lines)-1])
		}
	})
}

func TestLogLevelChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		l := StartLogger(&b)
		l.Debug("hidden")
		l.Level.Set(slog.LevelDebug)
		l.Debug("shown")
		l.Level.Set(slog.LevelError)
		l.Warn("hidden")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); strings.Contains(got, "hidden") || !strings.Contains(got, "shown") {
			t.Errorf("got %q", got)
		}
	})
}

func TestLogNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe() // takes nothing until it is read
		l := StartLogger(w)
		l.Info("first")
		synctest.Wait() // the first line is on its way, the queue is empty
		const lost = 500
		for i := range logQueue + lost {
			l.Info("line", "i", i)
		}
		if l.Dropped() != lost {
			t.Errorf("%d lines dropped, want %d", l.Dropped(), lost)
		}
		read := make(chan string)
		go func() {
			all, _ := io.ReadAll(r)
			read <- string(all)
		}()
		synctest.Wait() // all is written, the queue flows again
		l.Info("last")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		lines := strings.Split(strings.TrimSpace(<-read), "\n")
		if len(lines) != 1+logQueue+2 {
			t.Fatalf("%d lines", len(lines))
		}
		for i, want := range map[int]string{
			0:            ": INFO first",
			logQueue:     fmt.Sprintf(": INFO line i=%d", logQueue-1),
			logQueue + 1: fmt.Sprintf(": WARN log too slow, %d lines dropped", lost),
			logQueue + 2: ": INFO last",
		} {
			if !strings.HasSuffix(lines[i], want) {
				t.Errorf("line %d is %q, want it to end in %q", i, lines[i], want)
			}
		}
	})
}

func TestCloseIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		l := StartLogger(w)
		l.Info("stuck")
		start := time.Now()
		if err := l.Close(); err == nil {
			t.Error("no error though the line was not taken")
		}
		if took := time.Since(start); took != closeLimit {
			t.Errorf("it took %v", took)
		}
		for range 2 * logQueue {
			l.Info("after the end")
		}
		r.Close()
		if err := l.Close(); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

// roleSyslog logs, confined to a root in which the test may be the daemon.
func roleSyslog() int {
	if err := Confine(os.Getenv("ROOT"), "", false); err != nil {
		return fail("%v", err)
	}
	l := StartSyslog("pen")
	l.Level.Set(slog.LevelDebug)
	l.Debug("d")
	l.Info("i", "k", "v")
	l.Warn("w")
	l.Error("e")
	if err := l.Close(); err != nil {
		return fail("%v", err)
	}
	return 0
}

func TestSyslogAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	daemon, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(root, "dev", "log"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer daemon.Close()
	if out, err := inRole(t, "syslog", "ROOT="+root).Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	daemon.SetReadDeadline(time.Now().Add(30 * time.Second))
	for _, want := range []struct{ start, end string }{
		{"<15>", "]: d\n"}, {"<14>", "]: i k=v\n"}, {"<12>", "]: w\n"}, {"<11>", "]: e\n"},
	} {
		b := make([]byte, 1024)
		n, err := daemon.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got := string(b[:n])
		if !strings.HasPrefix(got, want.start) || !strings.Contains(got, " pen[") || !strings.HasSuffix(got, want.end) {
			t.Errorf("got %q, want %s... pen[PID%q", got, want.start, want.end)
		}
	}
}

func TestSyslogWithoutDaemonAsRoot(t *testing.T) {
	testenv.NeedRoot(t)
	if out, err := inRole(t, "syslog", "ROOT="+t.TempDir()).Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}
