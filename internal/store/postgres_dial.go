package store

import (
	"context"
	"net"
	"time"
)

// A network may stop carrying anything without telling either end. Waiting for an
// answer then ends when nothing has been confirmed for silentWait; TCP alone
// takes a quarter of an hour, and the driver's setting five minutes.
const silentWait = 30 * time.Second

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silentWait / 3, Interval: silentWait / 6, Count: 4},
		Control:         confirmWithin(silentWait),
	}
	return d.DialContext(ctx, network, address)
}
