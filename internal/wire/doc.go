// Package wire parses and writes what precedes or frames the relayed bytes: PROXY
// protocol headers, the hello of a TLS client, HTTP requests and answers.
//
// It works on bytes and knows no connection. The caller keeps what it has
// received, calls again with more bytes while the result is [ErrShort], and
// decides how long to wait. The result does not depend on how the bytes were
// split. An error is found at the first wrong byte, with a few documented
// exceptions. Nothing returned refers to the caller's bytes.
package wire

import "errors"

// ErrShort means that more bytes are needed; those so far are right.
var ErrShort = errors.New("more bytes are needed")
