//go:build linux

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// answerStart is how every answer of the HTTP backend begins.
const answerStart = "HTTP/1.1 200"

// maxAnswer bounds an answer in bytes.
const maxAnswer = 4096

// answerSize returns the number of bytes, header and body, of the HTTP answer
// that b begins with, or 0 if its header is not complete yet. It takes only
// answers of at most maxAnswer bytes with a Content-Length, and no other status
// than 200.
func answerSize(b []byte) (int, error) {
	if n := min(len(b), len(answerStart)); string(b[:n]) != answerStart[:n] {
		return 0, fmt.Errorf("an answer begins with %q, want %q", b[:n], answerStart)
	}
	head := bytes.Index(b, []byte("\r\n\r\n"))
	if head < 0 {
		if len(b) > maxAnswer {
			return 0, fmt.Errorf("the header of an answer has more than %d bytes", maxAnswer)
		}
		return 0, nil
	}
	for line := range strings.SplitSeq(string(b[:head]), "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		if !strings.EqualFold(name, "Content-Length") {
			continue
		}
		body, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if size := head + len("\r\n\r\n") + int(body); err == nil && size <= maxAnswer {
			return size, nil
		}
		return 0, fmt.Errorf("an answer has Content-Length %q, it must have at most %d bytes in all", value, maxAnswer)
	}
	return 0, fmt.Errorf("an answer has no Content-Length")
}
