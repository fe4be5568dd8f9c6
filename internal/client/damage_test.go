package client

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever is cut off or changed is found, and the table is as it was.
func TestDamageIsFound(t *testing.T) {
	damageIsFound(t, save(t, small(), 100))
	version1, err := os.ReadFile(filepath.Join("testdata", "version1.snapshot"))
	if err != nil {
		t.Fatal(err)
	}
	damageIsFound(t, version1)
}

func damageIsFound(t *testing.T, whole []byte) {
	t.Helper()
	tb := New(10)
	tb.Assign(addr(5), 5, 5)
	before, servers := known(tb), tb.Directory()
	reject := func(what string, b []byte) {
		t.Helper()
		_, err := tb.Restore(bytes.NewReader(b), saved, 0)
		if err == nil || !strings.HasPrefix(err.Error(), "restore clients: ") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range whole {
		reject(fmt.Sprintf("cut to %d bytes", n), whole[:n])
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[n] ^= 1 << bit
			reject(fmt.Sprintf("bit %d of byte %d", bit, n), b)
		}
	}
	reject("more at the end", append(bytes.Clone(whole), 0))
	reject("two of them", append(bytes.Clone(whole), whole...))
	if got := known(tb); !reflect.DeepEqual(got, before) || tb.Directory() != servers {
		t.Errorf("the table has changed: %+v, servers %v", got, *tb.Directory())
	}
}

// A text must say what is wrong.
func TestRestoreErrors(t *testing.T) {
	servers := func(n uint32) []byte {
		b := append(head(version), make([]byte, 16)...)
		return binary.BigEndian.AppendUint32(b, n)
	}
	start := sum(servers(0), 0)
	for _, tt := range []struct {
		want string
		b    []byte
	}{
		{"cut short", nil},
		{"not a snapshot of clients", []byte(strings.Repeat("x", 100))},
		{"version 3, want 1 to 2", head(3)},
		{"version 0, want 1 to 2", head(0)},
		{"65537 servers", servers(1<<16 + 1)},
		{"a server of 1025 bytes", append(servers(1), 4, 1)},
		{"a server of 1026 bytes", append(servers(1), 0, 1, 'x', 4, 2)},
		{"wrong checksum", append(servers(0), 0, 0, 0, 0)},
		{"a block of 1025 clients", append(start, 0, 0, 4, 1)},
		{"server 0 of 0", block(start, record(0, 0))},
		{"server -2 of 0", block(start, record(-2, 0))},
		{"a client of -1 ns ago", block(start, record(-1, -1))},
		{"a client of 1152921504606846977 ns ago", block(start, record(-1, maxAge+1))},
		{"it ends after 1 of 0 clients", sum(append(block(start, record(-1, 1)), make([]byte, 12)...), 8)},
	} {
		if _, err := New(1).Restore(bytes.NewReader(tt.b), saved, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	if _, err := New(1).Restore(errReader{}, saved, 0); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an error of the reader: %v", err)
	}
}

// A file with a right checksum that no Save has written: a client that is in
// it twice is in the table once.
func TestRestoreTwiceTheSame(t *testing.T) {
	b := append(head(version), make([]byte, 16)...)
	b = block(sum(append(b, 0, 0, 0, 0), 0), record(-1, 5), record(-1, 3))
	b = binary.BigEndian.AppendUint64(append(b, 0, 0, 0, 0), 2)
	tb := New(10)
	if got := restore(t, tb, sum(b, 8), at(0, 0)); got.Clients != 2 || got.Kept != 1 || tb.Len() != 1 || len(tb.Dump()) != 1 {
		t.Errorf("%+v, Len() = %d", got, tb.Len())
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func head(v uint32) []byte { return binary.BigEndian.AppendUint32([]byte(magic), v) }

// sum appends the checksum to a snapshot of which so many blocks and the
// header, if it is not the end of that, have one: 0, or 8 for both.
func sum(b []byte, sums int) []byte {
	crc := uint32(0)
	if sums == 0 {
		crc = crc32.Checksum(b, castagnoli)
	} else {
		const header = len(magic) + 4 + 8 + 8 + 4
		crc = crc32.Checksum(b[:header], castagnoli)
		end := len(b) - 12
		crc = crc32.Update(crc, castagnoli, b[header+4:end-4])
		crc = crc32.Update(crc, castagnoli, b[end:])
	}
	return binary.BigEndian.AppendUint32(bytes.Clone(b), crc)
}

// block appends the first block to a header without servers.
func block(start []byte, records ...[]byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(records)))
	b = append(b, bytes.Join(records, nil)...)
	crc := crc32.Update(crc32.Checksum(start[:len(start)-4], castagnoli), castagnoli, b)
	return binary.BigEndian.AppendUint32(append(bytes.Clone(start), b...), crc)
}

func record(server int32, age time.Duration) []byte {
	b := make([]byte, recordSize)
	binary.BigEndian.PutUint32(b[16:], uint32(server))
	binary.BigEndian.PutUint64(b[24:], uint64(age))
	return b
}
