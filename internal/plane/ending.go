package plane

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"

	"pen/internal/dispatch"
	"pen/internal/plane/relay"
	"pen/internal/sock"
)

// Ending returns what ended a flow, given the error of reading from or writing to one
// side. A nil error and io.EOF are an end in order. Errors of what the plane has closed or
// stopped itself end nothing.
func Ending(side relay.Side, err error) dispatch.Ending {
	is := func(errnos ...syscall.Errno) bool {
		return slices.ContainsFunc(errnos, func(e syscall.Errno) bool { return errors.Is(err, e) })
	}
	e := [2]dispatch.Ending{dispatch.ByClientReset, dispatch.ByServerReset} // TLS alerts as well
	switch {
	case err == nil || errors.Is(err, io.EOF):
		e = [2]dispatch.Ending{dispatch.ByClient, dispatch.ByServer}
	case errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded):
		e = [2]dispatch.Ending{}
	case is(syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN):
		e = [2]dispatch.Ending{dispatch.ByClientLoss, dispatch.ByServerLoss}
	case sock.IsLocal(err):
		e = [2]dispatch.Ending{dispatch.ByError, dispatch.ByError}
	}
	return e[side]
}
