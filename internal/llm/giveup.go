package llm

import "context"

// givingUp is the key under which the context of an attempt holds what ends it.
type givingUp struct{}

// withGivingUp returns the context that an attempt is made with.
func withGivingUp(ctx context.Context, end func(message string)) context.Context {
	return context.WithValue(ctx, givingUp{}, end)
}

// GiveUp ends the attempt of a call as its own time-out would, at once and with
// the words that the time-out had: for transports that play a recorded silence
// without waiting. It reports whether ctx is that of an attempt.
func GiveUp(ctx context.Context, message string) bool {
	end, ok := ctx.Value(givingUp{}).(func(string))
	if ok {
		end(message)
	}
	return ok
}
