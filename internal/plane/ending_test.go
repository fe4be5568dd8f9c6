package plane_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"pen/internal/dispatch"
	"pen/internal/plane"
	"pen/internal/plane/relay"
)

func TestEnding(t *testing.T) {
	for _, c := range []struct {
		err            error
		client, server dispatch.Ending
	}{
		{nil, dispatch.ByClient, dispatch.ByServer},
		{net.ErrClosed, dispatch.NotEnded, dispatch.NotEnded},
		{os.ErrDeadlineExceeded, dispatch.NotEnded, dispatch.NotEnded},
		{io.EOF, dispatch.ByClient, dispatch.ByServer},
		{syscall.ECONNRESET, dispatch.ByClientReset, dispatch.ByServerReset},
		{fmt.Errorf("write: %w", os.NewSyscallError("write", syscall.EPIPE)), dispatch.ByClientReset, dispatch.ByServerReset},
		{io.ErrUnexpectedEOF, dispatch.ByClientReset, dispatch.ByServerReset}, // of TLS
		{syscall.ETIMEDOUT, dispatch.ByClientLoss, dispatch.ByServerLoss},
		{syscall.EHOSTUNREACH, dispatch.ByClientLoss, dispatch.ByServerLoss},
		{syscall.ENOMEM, dispatch.ByError, dispatch.ByError},
	} {
		if got := plane.Ending(relay.Client, c.err); got != c.client {
			t.Errorf("client, %v: %v, want %v", c.err, got, c.client)
		}
		if got := plane.Ending(relay.Server, c.err); got != c.server {
			t.Errorf("server, %v: %v, want %v", c.err, got, c.server)
		}
	}
}
