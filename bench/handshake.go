//go:build linux

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// dialTLS connects to a proxy that ends TLS. The group of the key exchange is
// one that all contenders have; Go would else take another one with itself.
func dialTLS(addr string, sessions tls.ClientSessionCache) (*tls.Conn, error) {
	return tls.Dial("tcp", addr, &tls.Config{
		ServerName: "bench", InsecureSkipVerify: true, MinVersion: tls.VersionTLS13,
		CurvePreferences: []tls.CurveID{tls.X25519}, ClientSessionCache: sessions,
	})
}

// roleHandshakes makes connections with TLS handshakes that are full or resumed
// through ADDR for SECONDS, N at a time. It prints how many, and in what time.
func roleHandshakes(args []string) error {
	usage := errors.New("handshakes: usage: handshakes full|resumed N SECONDS ADDR")
	if len(args) != 4 || args[0] != "full" && args[0] != "resumed" {
		return usage
	}
	n, err1 := strconv.Atoi(args[1])
	seconds, err2 := strconv.ParseFloat(args[2], 64)
	if err := errors.Join(err1, err2); err != nil || n < 1 || n > 1000 || seconds <= 0 || seconds > 60 {
		return usage
	}
	var done atomic.Int64
	errs := make([]error, n)
	begin := time.Now()
	end := begin.Add(time.Duration(seconds * float64(time.Second)))
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			var sessions tls.ClientSessionCache
			if args[0] == "resumed" {
				sessions = tls.NewLRUClientSessionCache(1)
			}
			for first := true; time.Now().Before(end) && errs[i] == nil; first = false {
				errs[i] = handshake(args[3], sessions, !first && sessions != nil)
				done.Add(1)
			}
		})
	}
	all.Wait()
	took := time.Since(begin).Seconds()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("handshakes: %w", err)
	}
	_, err := fmt.Println(done.Load(), took)
	return err
}

// handshake makes one connection, proved by an answer of the byte peer.
func handshake(addr string, sessions tls.ClientSessionCache, resumed bool) error {
	c, err := dialTLS(addr, sessions)
	if err != nil {
		return err
	}
	defer c.NetConn().Close()
	c.NetConn().(*net.TCPConn).SetLinger(0) // no port is left waiting
	if err := (header{op: opHold}).send(c); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return err
	}
	if got := c.ConnectionState().DidResume; got != resumed {
		return fmt.Errorf("resumed: %v, want %v", got, resumed)
	}
	return nil
}
