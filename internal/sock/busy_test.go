package sock

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"pen/internal/testenv"
)

// A Unix socket whose queue is full is waited for, as long as a connect may take,
// and its server is not called dead.
func TestBusyUnixSocket(t *testing.T) {
	testenv.CheckLeaks(t)
	path := filepath.Join(t.TempDir(), "s")
	ln, err := listenAt(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	queued := 0
	for {
		c, err := net.Dial("unix", path)
		if errors.Is(err, syscall.EAGAIN) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		queued++
	}
	_, err = Dial(context.Background(), Target{Path: path, Timeout: 20 * time.Millisecond})
	if !errors.Is(err, ErrBusy) || !IsLocal(err) || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a full queue: %v, local %v", err, IsLocal(err))
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Dial(ctx, Target{Path: path, Timeout: time.Hour}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	connected := make(chan error, 1)
	go func() {
		c, err := Dial(context.Background(), Target{Path: path, Timeout: testenv.Limit})
		if err == nil {
			c.Close()
		}
		connected <- err
	}()
	for range queued + 1 {
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if err := <-connected; err != nil {
		t.Errorf("the queue has room: %v", err)
	}
}
