// Package weblog merges the logs of web servers behind Pen, in which Pen is the client of
// every request, with Pen's request log, which has the real clients (specification, section
// 22, mergelogs). It reads all logs as streams, in bounded memory.
package weblog

import (
	"bufio"
	"bytes"
	"io"
)

// MaxLine bounds a line, in bytes with its end. Longer ones are dropped.
const MaxLine = 64 << 10

// An input reads the lines of one log, and counts the ones that are no log lines.
type input struct {
	name    string
	r       *bufio.Reader
	n       int // number of the line that was read last, from 1
	dropped Dropped
	debug   func(name string, n int, line []byte)
}

func newInput(name string, r io.Reader, o Options) *input {
	return &input{name: name, r: bufio.NewReaderSize(r, MaxLine), dropped: Dropped{Name: name}, debug: o.Debug}
}

// next returns the next line without its newline, or io.EOF. The line is valid
// until the next call.
func (in *input) next() ([]byte, error) {
	for {
		line, err := in.r.ReadSlice('\n')
		if len(line) > 0 {
			in.n++
		}
		switch {
		case err == bufio.ErrBufferFull:
			in.drop(line)
			if err := in.skip(); err != nil {
				return nil, err
			}
		case err != nil && (err != io.EOF || len(line) == 0):
			return nil, err
		default:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
	}
}

// skip reads to the end of a line.
func (in *input) skip() error {
	for {
		_, err := in.r.ReadSlice('\n')
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// drop counts the line that was read last as no log line.
func (in *input) drop(line []byte) {
	if in.dropped.Lines == 0 {
		in.dropped.First = in.n
	}
	in.dropped.Lines++
	if in.debug != nil {
		in.debug(in.name, in.n, line)
	}
}
