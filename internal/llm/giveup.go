package llm

import (
	"context"
	"net/http"
)

// trying is the key under which the context of an attempt holds it.
type trying struct{}

// GiveUp ends the attempt of a call as its own time-out would, at once and with
// the words that the time-out had: for transports that play a recorded silence
// without waiting. It reports whether ctx is that of an attempt.
func GiveUp(ctx context.Context, message string) bool {
	y, ok := ctx.Value(trying{}).(*try)
	if ok {
		y.cancel(y.silent(message))
	}
	return ok
}

// showHeaders has the attempt that ctx is of learn from the headers of what it
// was answered. They go nowhere else.
func showHeaders(ctx context.Context, h http.Header) {
	if y, ok := ctx.Value(trying{}).(*try); ok {
		y.target.state.learned.learn(ParseAllowances(h, y.router.Now()))
	}
}
