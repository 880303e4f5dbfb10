package redis

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed edge.lua
var edgeText string

var edgeScript = redis.NewScript(edgeText)

// Edge keeps in this Redis, by its clock, the buckets of those who ask a server. It
// is what package limit wants of what processes share.
func (s *Server) Edge() Edge { return Edge{s} }

// Edge is documented at [Server.Edge].
type Edge struct{ server *Server }

// TakeAll takes cost from every bucket of these names or from none, and returns what
// is left in each and how long to wait.
func (e Edge) TakeAll(ctx context.Context, names []string, bursts, perMinute []int64, cost int64) (left []int64, wait time.Duration, err error) {
	keys, args := make([]string, len(names)), []any{cost}
	for i, name := range names {
		keys[i] = "mgx:edge:" + name
		args = append(args, bursts[i], perMinute[i])
	}
	var answer []int64
	err = e.server.exchange(ctx, "edge", func(ctx context.Context) (err error) {
		answer, err = edgeScript.Run(ctx, e.server.client, keys, args...).Int64Slice()
		if err == nil && (len(answer) != len(names)+1 || answer[0] < 0 || answer[0] > longestWait.Microseconds()) {
			err = fmt.Errorf("it says %v of %d buckets", answer, len(names))
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return answer[1:], time.Duration(answer[0]) * time.Microsecond, nil
}
