//go:build !linux

package process

import "fmt"

func netRawKept(name string, _ func() error) error {
	return fmt.Errorf("run as user %s: keep CAP_NET_RAW: not possible on this system", name)
}
