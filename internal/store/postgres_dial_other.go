//go:build !linux

package store

import (
	"syscall"
	"time"
)

func confirmWithin(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
