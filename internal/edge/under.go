package edge

import (
	"cmp"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	recordHead = 5 // type, version and length of a TLS record (RFC 8446, section 5.1)
	// ahead is how much is read and written at a go: some records. With system
	// calls for each of them bulk from a client took a fifth longer.
	ahead = 68 << 10
	// oneRecord is enough for a record, and halfRecord for half of one, with which it
	// begins: a side that takes nothing, or sends little, costs no more memory than
	// that.
	oneRecord, halfRecord = 17 << 10, 9 << 10
	// margin is what TLS adds to a record's worth of bytes, at most.
	margin = 1 << 10
	// bulk is from how many bytes on it is worth more.
	bulk = 256 << 10
)

// Buffers are of these sizes.
var (
	sizes = [...]int{halfRecord, oneRecord, ahead}
	pools [len(sizes)]sync.Pool
)

// buffer returns a buffer of so many bytes at least, of the greatest size at most.
func buffer(n int) *[]byte {
	size := 0
	for size < len(sizes)-1 && sizes[size] < n {
		size++
	}
	if b, ok := pools[size].Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, sizes[size])
	return &b
}

// giveBack takes a buffer back.
func giveBack(b *[]byte) {
	pools[slices.Index(sizes[:], len(*b))].Put(b)
}

// under is what TLS reads and writes. It reads ahead, but gives TLS no more than
// one record at a time: so it knows whether there is another one. It holds
// buffers only while there is something in them.
type under struct {
	net.Conn
	raw  syscall.RawConn       // nil where there is none
	fill func(fd uintptr) bool // made once: a method value allocates

	// Of the one who reads.
	in      *[]byte
	passed  int              // bytes that were read
	try     bool             // Read does not wait
	at, end int              // the bytes of in that are not read yet
	err     error            // of the last fill; it is final
	ended   bool             // the other side has ended the connection
	head    [recordHead]byte // of the record under way
	known   int              // bytes of it
	left    int              // bytes of the record, once its head is known

	mu     sync.Mutex // guards all below
	held   bool       // what is written is kept for flush
	out    *[]byte
	size   int // about how much to keep
	length int // of what is kept
}

func newUnder(c net.Conn) *under {
	u := &under{Conn: c}
	u.fill = u.tryFill
	if s, ok := c.(syscall.Conn); ok {
		u.raw, _ = s.SyscallConn()
	}
	return u
}

// wait waits until there is something to read, without a buffer.
func (u *under) wait() error {
	if u.at < u.end {
		return nil
	}
	if u.raw == nil {
		return u.read()
	}
	if u.err != nil {
		return u.err // the kernel tells it once
	}
	if err := cmp.Or(u.raw.Read(u.fill), u.err); err != nil {
		return err
	}
	if u.end == 0 {
		u.ended = true
		return io.EOF
	}
	return nil
}

// tryFill reads once. It reports false where there is nothing yet.
func (u *under) tryFill(fd uintptr) bool {
	if u.in == nil {
		size := oneRecord
		if u.passed >= bulk {
			size = ahead
		}
		u.in = buffer(size)
	}
	for {
		u.at = 0
		u.end, u.err = syscall.Read(int(fd), *u.in)
		if u.err == syscall.EINTR {
			continue
		}
		again := u.err == syscall.EAGAIN
		if u.err != nil {
			u.end = 0
		}
		if again {
			u.err = nil
		}
		if u.passed += u.end; u.end == 0 {
			u.giveBack()
		}
		return !again
	}
}

// read is wait for a connection that is not a socket.
func (u *under) read() error {
	u.in = buffer(oneRecord)
	n, err := u.Conn.Read(*u.in)
	u.at, u.end = 0, n
	if n > 0 {
		return nil
	}
	u.giveBack()
	u.ended = err == io.EOF
	return err
}

func (u *under) giveBack() {
	giveBack(u.in)
	u.in = nil
}

// Read gives what is left of the head of a record, or of the record.
func (u *under) Read(b []byte) (int, error) {
	if u.try && u.at == u.end && u.raw != nil && u.err == nil && !u.ended {
		return 0, ErrNothing
	}
	if err := u.wait(); err != nil {
		return 0, err
	}
	n := min(len(b), u.end-u.at)
	if u.known < recordHead {
		n = copy(u.head[u.known:], (*u.in)[u.at:u.at+n])
		copy(b, u.head[u.known:u.known+n])
		u.known += n
		if u.known == recordHead {
			u.left = recordLength(u.head[:])
		}
	} else {
		n = copy(b, (*u.in)[u.at:u.at+min(n, u.left)])
		u.left -= n
	}
	if u.known == recordHead && u.left == 0 {
		u.known = 0
	}
	if u.at += n; u.at == u.end {
		u.giveBack()
	}
	return n, nil
}

func recordLength(head []byte) int { return int(head[3])<<8 | int(head[4]) }

// more reports whether a whole record is there.
func (u *under) more() bool {
	have := u.end - u.at
	return u.known == 0 && have >= recordHead && have >= recordHead+recordLength((*u.in)[u.at:])
}

// hold has what is written from now on kept, as far as there is room: n bytes
// before TLS.
func (u *under) hold(n int) {
	u.mu.Lock()
	u.held, u.size = true, n+margin
	u.mu.Unlock()
}

// flush writes what is kept.
func (u *under) flush() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.held = false
	return u.drain()
}

// drain is flush, with mu held.
func (u *under) drain() error {
	if u.out == nil {
		return nil
	}
	_, err := u.Conn.Write((*u.out)[:u.length])
	giveBack(u.out)
	u.out, u.length = nil, 0
	return err
}

// Write writes, or keeps, records.
func (u *under) Write(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.out != nil && (u.length+len(b) > len(*u.out) || len(b) > oneRecord) {
		if err := u.drain(); err != nil {
			return 0, err
		}
	}
	if !u.held || len(b) > oneRecord {
		return u.Conn.Write(b)
	}
	if u.out == nil {
		u.out = buffer(max(u.size, len(b)))
	}
	u.length += copy((*u.out)[u.length:], b)
	return len(b), nil
}

// SetWriteDeadline does nothing. TLS would give its last word 5 seconds, after
// which a client that is slow to read would take a whole stream for one that was
// cut. Deadlines are set on the connection itself.
func (u *under) SetWriteDeadline(time.Time) error { return nil }
