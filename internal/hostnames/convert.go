package hostnames

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"sync"
)

const (
	maxWaiting = 1024     // lines that wait for their names
	maxPiece   = 16 << 10 // bytes; longer lines are converted in pieces
)

// Convert copies lines, and replaces an address that is the first word of a line by its
// name, if it has one. The order of lines stays. It blocks until the input ends, the output
// fails, or ctx is done and one more line has been read. When it returns, its goroutines
// have ended.
func (n *Names) Convert(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	questions := make(chan *question)
	pieces := make(chan piece, maxWaiting)
	var workers sync.WaitGroup
	for range n.opt.Parallel {
		workers.Go(func() {
			for q := range questions {
				q.name = n.name(ctx, q.addr)
				close(q.done)
			}
		})
	}
	written := make(chan error, 1)
	go func() { written <- write(out, pieces, cancel) }()

	err := n.read(ctx, bufio.NewReaderSize(in, maxPiece), questions, pieces)
	close(questions)
	close(pieces)
	workers.Wait()
	if werr := <-written; werr != nil {
		return fmt.Errorf("write: %w", werr)
	}
	return err
}

// A question is an address whose name is being looked up.
type question struct {
	addr netip.Addr
	name string // valid when done is closed
	done chan struct{}
}

// A piece is a line, or a part of a long one. Its first `word` bytes are replaced by the
// answer to ask, or by name, if there is one.
type piece struct {
	text []byte
	word int
	name string
	ask  *question
}

// read cuts the input into pieces. It shares the question of an address that is being looked
// up already.
func (n *Names) read(ctx context.Context, in *bufio.Reader, questions chan<- *question, pieces chan<- piece) error {
	asked := map[netip.Addr]*question{}
	start := true
	for ctx.Err() == nil {
		text, err := in.ReadSlice('\n')
		if len(text) > 0 {
			p := piece{text: bytes.Clone(text)}
			if addr, word, ok := firstAddr(text); ok && start {
				p.word = word
				n.ask(&p, addr, asked, questions)
			}
			pieces <- p
		}
		start = err == nil
		if err == io.EOF {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
	return context.Cause(ctx)
}

// ask sets the name of a piece, or passes the question to a worker.
func (n *Names) ask(p *piece, addr netip.Addr, asked map[netip.Addr]*question, questions chan<- *question) {
	if q := asked[addr]; q != nil && !q.answered() {
		p.ask = q
		return
	}
	var ok bool
	if p.name, ok = n.cached(addr); ok {
		return
	}
	if len(asked) >= 2*maxWaiting {
		maps.DeleteFunc(asked, func(_ netip.Addr, q *question) bool { return q.answered() })
	}
	p.ask = &question{addr: addr, done: make(chan struct{})}
	asked[addr] = p.ask
	questions <- p.ask
}

func (q *question) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// firstAddr returns the address that is the first word of a line, and the length of that
// word.
func firstAddr(line []byte) (addr netip.Addr, word int, ok bool) {
	const longest = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")
	word = bytes.IndexAny(line[:min(len(line), longest+1)], " \t\r\n")
	if word < 0 {
		word = len(line)
	}
	if word == 0 || word > longest {
		return addr, 0, false
	}
	addr, err := netip.ParseAddr(string(line[:word]))
	return addr.Unmap(), word, err == nil && addr.Zone() == ""
}

// write writes pieces in order, each when its name is known. After an error it calls stop
// and discards the rest.
func write(out io.Writer, pieces <-chan piece, stop func()) error {
	w := bufio.NewWriterSize(out, 64<<10)
	var err error
	for p := range pieces {
		if p.ask != nil {
			<-p.ask.done
			p.name = p.ask.name
		}
		if err != nil {
			continue
		}
		if p.name != "" {
			w.WriteString(p.name)
			p.text = p.text[p.word:]
		}
		_, err = w.Write(p.text)
		if err == nil && len(pieces) == 0 {
			err = w.Flush()
		}
		if err != nil {
			stop()
		}
	}
	if err == nil {
		err = w.Flush()
	}
	return err
}
