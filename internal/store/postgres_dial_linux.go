package store

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// confirmWithin has a connection fail when what was sent is not confirmed in time.
func confirmWithin(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		e := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if err == nil {
			err = e
		}
		return err
	}
}
