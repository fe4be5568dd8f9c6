// Package wire reads what comes first on a connection, before anything is
// relayed, and writes what has to be sent first: PROXY protocol headers, the
// hello of a TLS client.
//
// It works on bytes and knows no connection. A caller keeps what it has
// received, asks again whenever there is more while the answer is [ErrShort],
// and decides how long to wait. The same bytes get the same answer however
// they are split, and an error is found at the first byte that is wrong, with
// few exceptions that are named. Nothing returned refers to the caller's bytes.
package wire

import "errors"

// ErrShort says that nothing is wrong yet, but more bytes are needed.
var ErrShort = errors.New("more bytes are needed")
