//go:build !linux

package sock

import "errors"

// CheckTransparent reports why this process may not connect from addresses of
// other machines.
func CheckTransparent() error { return errNoTransparent }

func setTransparent(int, bool) error { return errNoTransparent }

var errNoTransparent = errors.New("not possible on this system")
