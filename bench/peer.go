//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
)

// The byte peer is the backend of the gate, the bulk and the memory load. A
// connection starts with a header: one letter, a size and a seed.
const (
	opHash = 'h' // read size bytes, answer with their SHA-256
	opMake = 'm' // send size bytes made from the seed
	opHalf = 'e' // read to the end, then send size bytes made from the seed
	opSink = 's' // read size bytes, answer with one byte
	opSend = 'z' // send size zero bytes
	opHold = 'i' // answer with one byte and wait for the end
)

// chunk is the unit of bulk reads and writes.
const chunk = 256 << 10

// maxSize bounds the size that a header may ask for.
const maxSize = 1 << 42

// header is a request to the byte peer.
type header struct {
	op   byte
	size int64
	seed uint64
}

// send writes the header.
func (h header) send(w io.Writer) error {
	b := append(make([]byte, 0, 17), h.op)
	b = binary.BigEndian.AppendUint64(b, uint64(h.size))
	b = binary.BigEndian.AppendUint64(b, h.seed)
	_, err := w.Write(b)
	return err
}

// readHeader reads and checks a header, and a PROXY header of version 2 before
// it, which says at byte 14 how long it is beyond its first 16 bytes.
func readHeader(r io.Reader) (header, error) {
	var b [17]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return header{}, err
	}
	if b[0] == '\r' {
		rest := int64(binary.BigEndian.Uint16(b[14:])) - 1
		if _, err := io.CopyN(io.Discard, r, rest); err != nil {
			return header{}, err
		}
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return header{}, err
		}
	}
	size := binary.BigEndian.Uint64(b[1:])
	if size > maxSize {
		return header{}, fmt.Errorf("header asks for %d bytes, the most is %d", size, int64(maxSize))
	}
	return header{b[0], int64(size), binary.BigEndian.Uint64(b[9:])}, nil
}

// servePeer answers on l until ctx is done; then every connection is closed
// and its goroutine has ended. It closes l.
func servePeer(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("byte peer: %w", err)
		}
		conns.Go(func() {
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			answer(conn.(*net.TCPConn))
		})
	}
}

// answer serves one connection. Its errors are the other side's to notice: it
// gets less than it asked for.
func answer(conn *net.TCPConn) error {
	h, err := readHeader(conn)
	if err != nil {
		return err
	}
	switch h.op {
	case opHash:
		sum := sha256.New()
		if _, err := io.CopyN(sum, conn, h.size); err != nil {
			return err
		}
		_, err = conn.Write(sum.Sum(nil))
	case opMake:
		err = sendMade(conn, h.size, h.seed)
	case opHalf:
		if _, err := io.Copy(io.Discard, conn); err != nil {
			return err
		}
		err = sendMade(conn, h.size, h.seed)
	case opSink:
		if err := discard(conn, h.size); err != nil {
			return err
		}
		_, err = conn.Write([]byte{'k'})
	case opSend:
		err = sendZeros(conn, h.size)
	case opHold:
		if _, err := conn.Write([]byte{'k'}); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
	default:
		return fmt.Errorf("header starts with %q: unknown", h.op)
	}
	return err
}

// sendMade writes size bytes that seed determines, in chunks of random size.
func sendMade(w io.Writer, size int64, seed uint64) error {
	made := madeBytes(seed)
	sizes := rand.New(rand.NewPCG(seed, uint64(size)))
	buf := make([]byte, 64<<10)
	for size > 0 {
		part := buf[:min(size, 1+sizes.Int64N(int64(len(buf))))]
		made.Read(part)
		if _, err := w.Write(part); err != nil {
			return err
		}
		size -= int64(len(part))
	}
	return nil
}

// hashMade returns the SHA-256 of what sendMade writes.
func hashMade(size int64, seed uint64) ([32]byte, error) {
	sum := sha256.New()
	_, err := io.CopyN(sum, madeBytes(seed), size)
	return [32]byte(sum.Sum(nil)), err
}

// madeBytes is the endless byte sequence of seed; it does not fail.
func madeBytes(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// sendZeros writes size bytes as fast as it can without splice or sendfile.
func sendZeros(w io.Writer, size int64) error {
	buf := make([]byte, chunk)
	for size > 0 {
		n, err := w.Write(buf[:min(size, chunk)])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// discard reads exactly size bytes.
func discard(r io.Reader, size int64) error {
	buf := make([]byte, chunk)
	for size > 0 {
		n, err := r.Read(buf[:min(size, chunk)])
		size -= int64(n)
		if err != nil && size > 0 {
			if errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}
