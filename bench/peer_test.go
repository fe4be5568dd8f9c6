//go:build linux

package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// serve runs f on a loopback listener until the test ends and returns its address.
func serve(t *testing.T, f func(context.Context, net.Listener) error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return l.Addr().String()
}

func TestGatePassesDirect(t *testing.T) {
	addr := serve(t, servePeer)
	if failed := passGate(t.Context(), addr, 5); len(failed) > 0 {
		t.Error(failed)
	}
}

// TestGateCatches puts proxies with one fault each between gate and peer.
func TestGateCatches(t *testing.T) {
	for _, c := range []struct {
		name  string
		alter func(b []byte) // of what goes to the client
		end   bool           // end both ways when the client half-closes
	}{
		{name: "changed byte", alter: func(b []byte) { b[len(b)-1] ^= 1 }},
		{name: "no half-close", end: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			backend := serve(t, servePeer)
			addr := serve(t, func(ctx context.Context, l net.Listener) error {
				return faultyProxy(ctx, l, backend, c.alter, c.end)
			})
			if failed := passGate(t.Context(), addr, 5); len(failed) == 0 {
				t.Error("the gate passed")
			}
		})
	}
}

// faultyProxy carries connections one after the other.
func faultyProxy(ctx context.Context, l net.Listener, backend string, alter func([]byte), end bool) error {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		down, err := l.Accept()
		if err != nil {
			return nil
		}
		up, err := net.Dial("tcp", backend)
		if err != nil {
			return err
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			io.Copy(up, down)
			if end {
				down.Close()
			}
			up.(*net.TCPConn).CloseWrite()
		})
		buf := make([]byte, 32<<10)
		for n, err := up.Read(buf); err == nil; n, err = up.Read(buf) {
			if alter != nil {
				alter(buf[:n])
			}
			down.Write(buf[:n])
		}
		down.Close()
		wg.Wait()
		up.Close()
	}
}

func TestBulkAndHold(t *testing.T) {
	addr := serve(t, servePeer)
	for name, move := range map[string]func(net.Conn, int64) error{"up": bulkUp, "down": bulkDown} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := move(conn, 3*chunk+1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
	conn, err := openHeld(addr)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestHeader(t *testing.T) {
	var b bytes.Buffer
	want := header{opMake, 1234, 99}
	if err := want.send(&b); err != nil {
		t.Fatal(err)
	}
	if got, err := readHeader(&b); err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	(header{op: opMake, size: -1}).send(&b)
	if _, err := readHeader(&b); err == nil {
		t.Error("a size beyond the bound was accepted")
	}
	if _, err := readHeader(bytes.NewReader([]byte{opMake, 0})); err == nil {
		t.Error("a short header was accepted")
	}
}

// FuzzReadHeader: nothing that is read may crash or pass the bound.
func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("h\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02"))
	f.Add(bytes.Repeat([]byte{0xff}, 17))
	f.Fuzz(func(t *testing.T, in []byte) {
		if h, err := readHeader(bytes.NewReader(in)); err == nil && (h.size < 0 || h.size > maxSize) {
			t.Errorf("size %d was accepted", h.size)
		}
	})
}
