package plane

import (
	"errors"
	"io"
	"slices"
	"syscall"

	"pen/internal/dispatch"
)

// Ending returns what ended a flow, given the error of reading from or writing to the
// client or the server. A nil error and io.EOF are an end in order.
func Ending(server bool, err error) dispatch.Ending {
	is := func(errnos ...syscall.Errno) bool {
		return slices.ContainsFunc(errnos, func(e syscall.Errno) bool { return errors.Is(err, e) })
	}
	e := [2]dispatch.Ending{dispatch.ByError, dispatch.ByError}
	switch {
	case err == nil || errors.Is(err, io.EOF):
		e = [2]dispatch.Ending{dispatch.ByClient, dispatch.ByServer}
	case is(syscall.ECONNRESET, syscall.EPIPE) || errors.Is(err, io.ErrUnexpectedEOF):
		e = [2]dispatch.Ending{dispatch.ByClientReset, dispatch.ByServerReset}
	case is(syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN):
		e = [2]dispatch.Ending{dispatch.ByClientLoss, dispatch.ByServerLoss}
	}
	if server {
		return e[1]
	}
	return e[0]
}
