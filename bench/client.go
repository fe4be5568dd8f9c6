//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// roles are the parts of the benchmark that must run pinned to a core. The
// program starts itself with the name of one as its first argument.
var roles = map[string]func(args []string) error{
	"byte-peer":  rolePeer,
	"bulk":       roleBulk,
	"handshakes": roleHandshakes,
	"hold":       roleHold,
	"send":       roleSend,
	"costs":      roleCosts,
	"pong":       rolePong,
}

// rolePeer serves as the byte peer on ADDR until SIGTERM.
func rolePeer(args []string) error {
	if len(args) != 1 {
		return errors.New("byte-peer: usage: byte-peer ADDR")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return servePeer(ctx, l)
}

// roleBulk moves SIZE bytes "up" (client to backend) or "down" through ADDR on
// one connection and prints the seconds it took.
func roleBulk(args []string) error {
	usage := errors.New("bulk: usage: bulk up|down|up-tls|down-tls SIZE ADDR")
	if len(args) != 3 {
		return usage
	}
	way, secure := strings.CutSuffix(args[0], "-tls")
	if way != "up" && way != "down" {
		return usage
	}
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || size < 1 || size > maxSize {
		return fmt.Errorf("bulk: size %q: must be 1 to %d", args[1], int64(maxSize))
	}
	conn, err := dialBulk(args[2], secure)
	if err != nil {
		return err
	}
	defer conn.Close()
	begin := time.Now()
	if way == "up" {
		err = bulkUp(conn, size)
	} else {
		err = bulkDown(conn, size)
	}
	if err != nil {
		return fmt.Errorf("bulk %s of %d bytes: %w", args[0], size, err)
	}
	fmt.Println(time.Since(begin).Seconds())
	return nil
}

func dialBulk(addr string, secure bool) (net.Conn, error) {
	if secure {
		return dialTLS(addr, nil)
	}
	return net.Dial("tcp", addr)
}

func bulkUp(conn net.Conn, size int64) error {
	if err := (header{op: opSink, size: size}).send(conn); err != nil {
		return err
	}
	if err := sendZeros(conn, size); err != nil {
		return err
	}
	return discard(conn, 1)
}

func bulkDown(conn net.Conn, size int64) error {
	if err := (header{op: opSend, size: size}).send(conn); err != nil {
		return err
	}
	return discard(conn, size)
}

// holders is the number of connections that are opened at the same time.
const holders = 32

// roleHold is a companion that opens N connections through ADDR, each proved by
// an answer of the backend, and holds them until its input ends.
func roleHold(args []string) error {
	if len(args) != 2 {
		return errors.New("hold: usage: hold N ADDR")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > 100000 {
		return fmt.Errorf("hold: number %q: must be 1 to 100000", args[0])
	}
	conns := make([]net.Conn, n)
	errs := make([]error, holders)
	var wg sync.WaitGroup
	for h := range holders {
		wg.Go(func() {
			for i := h; i < n && errs[h] == nil; i += holders {
				conns[i], errs[h] = openHeld(args[1])
			}
		})
	}
	wg.Wait()
	defer func() {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
	}()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("hold %d connections: %w", n, err)
		}
	}
	return awaitStart()
}

// openHeld opens one connection and returns once the backend has answered.
func openHeld(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(patience))
	err = header{op: opHold}.send(conn)
	if err == nil {
		err = discard(conn, 1)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// patience bounds every wait for a proxy that serves at all.
const patience = 10 * time.Second

// gateTests are what a contender must carry before it is timed.
var gateTests = []struct {
	name string
	test func(conn *net.TCPConn, seed uint64) error
}{
	{"8 MiB client to backend", gateUp},
	{"8 MiB backend to client", gateDown},
	{"1 MiB answer after half-close", gateHalf},
}

// gateSize is the size of a transfer of the gate in bytes.
const gateSize = 8 << 20

// passGate runs every test through addr, tries times because some lose bytes
// only now and then, and returns what failed, one line for each test. A
// contender that fails a test is not asked again.
func passGate(ctx context.Context, addr string, tries int) []string {
	var failed []string
	for i, g := range gateTests {
		for try := range tries {
			if err := tryGate(ctx, addr, uint64(100*i+try), g.test); err != nil {
				failed = append(failed, fmt.Sprintf("%s, try %d: %v", g.name, try+1, err))
				break
			}
		}
	}
	return failed
}

// tryGate runs test once through addr. Silence longer than patience is an error.
func tryGate(ctx context.Context, addr string, seed uint64, test func(*net.TCPConn, uint64) error) error {
	d := net.Dialer{Timeout: patience}
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	conn.SetDeadline(time.Now().Add(patience))
	return test(conn.(*net.TCPConn), seed)
}

func gateUp(conn *net.TCPConn, seed uint64) error {
	if err := (header{opHash, gateSize, seed}).send(conn); err != nil {
		return err
	}
	if err := sendMade(conn, gateSize, seed); err != nil {
		return err
	}
	var got [32]byte
	if _, err := io.ReadFull(conn, got[:]); err != nil {
		return err
	}
	return sameHash(got, gateSize, seed)
}

func gateDown(conn *net.TCPConn, seed uint64) error {
	if err := (header{opMake, gateSize, seed}).send(conn); err != nil {
		return err
	}
	return receiveMade(conn, gateSize, seed)
}

func gateHalf(conn *net.TCPConn, seed uint64) error {
	const size = 1 << 20
	if err := (header{opHalf, size, seed}).send(conn); err != nil {
		return err
	}
	if err := sendMade(conn, size, seed+1); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	return receiveMade(conn, size, seed)
}

// receiveMade reads to the end and wants exactly what sendMade writes.
func receiveMade(r io.Reader, size int64, seed uint64) error {
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(r, size+1))
	if err != nil {
		return fmt.Errorf("after %d of %d bytes: %w", n, size, err)
	}
	if n != size {
		return fmt.Errorf("%d bytes received, %d sent", n, size)
	}
	return sameHash([32]byte(sum.Sum(nil)), size, seed)
}

// sameHash compares got with the hash of what sendMade writes.
func sameHash(got [32]byte, size int64, seed uint64) error {
	want, err := hashMade(size, seed)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%d bytes arrived changed: SHA-256 %x, sent %x", size, got, want)
	}
	return nil
}
