//go:build linux

package native

import (
	"context"
	"time"
)

// Start starts an init of a box with namespaces.
var Start = start(namespaces)

// LandlockCheck is what is said of a version.
var LandlockCheck = landlockCheck

// Look has a command look at its walls, for as long as that.
func Look(ctx context.Context, patience time.Duration) error {
	b, err := New().(*driver).bare()
	if err == nil {
		_, err = b.look(ctx, patience)
	}
	return err
}
