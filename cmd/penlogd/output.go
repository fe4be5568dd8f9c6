package main

import (
	"bufio"
	"io"
	"os"
)

// openOutput opens the file to append to, or standard output.
func openOutput(name string) (*output, error) {
	if name == "" {
		return &output{w: bufio.NewWriter(os.Stdout)}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &output{w: bufio.NewWriter(f), c: f}, nil
}

// An output is where lines go; c is nil for standard output.
type output struct {
	w *bufio.Writer
	c io.Closer
}

func (o *output) close() error {
	err := o.w.Flush()
	if o.c != nil {
		o.c.Close()
	}
	return err
}
