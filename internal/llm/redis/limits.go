package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"mgx/internal/llm"
)

//go:embed take.lua
var takeText string

//go:embed give.lua
var giveText string

var (
	takeScript = redis.NewScript(takeText)
	giveScript = redis.NewScript(giveText)
)

// longestWait is the longest that Redis is believed to make a request wait.
const longestWait = 24 * time.Hour

// Limits keep buckets in this Redis, by its clock.
func (s *Server) Limits() llm.SharedLimits { return limits{s} }

type limits struct{ *Server }

func limitKey(name string) string { return "mgx:limit:" + name }

func (l limits) Take(ctx context.Context, name string, of llm.Limits, tokens int64, most time.Duration) (time.Duration, error) {
	var micros int64
	err := l.exchange(ctx, "take", func(ctx context.Context) (err error) {
		micros, err = takeScript.Run(ctx, l.client, []string{limitKey(name)}, of.Requests, of.Tokens, tokens,
			most.Microseconds(), l.me, llm.AskAgain.Microseconds()).Int64()
		if err == nil && (micros < 0 || micros > longestWait.Microseconds()) {
			err = fmt.Errorf("it says to wait %d µs", micros)
		}
		return err
	})
	return time.Duration(micros) * time.Microsecond, err
}

func (l limits) Give(ctx context.Context, name string, of llm.Limits, requests, tokens int64) {
	_ = l.exchange(ctx, "give", func(ctx context.Context) error { // it counts and logs what fails
		return giveScript.Run(ctx, l.client, []string{limitKey(name)}, of.Requests, of.Tokens, requests, tokens).Err()
	})
}
