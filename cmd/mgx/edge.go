package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/spf13/pflag"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/limit"
	"mgx/internal/llm/redis"
)

const queueWait = time.Second // of a request for which there is no room yet

func addRateLimits(flags *pflag.FlagSet) {
	flags.String("rate-limits", "default", "bounds of what is asked, such as `user=6000,address=600`, or off; see docs/limits.md")
}

// edge bounds what a server is asked, together with other processes where there is
// a Redis.
func (c *cli) edge(log *slog.Logger) (l api.Limits, limiter *limit.Limiter, end func(), err error) {
	end = func() {}
	rates := c.cfg.Rates
	of := func(name string) limit.Rate { return limit.Rate{PerMinute: rates[name]} }
	l = api.Limits{
		Key: of("key"), User: of("user"), Workspace: of("workspace"), Address: of("address"),
		AtOnce: rates["at-once"], Queue: rates["queue"], QueueWait: queueWait,
	}
	var o limit.Options
	if c.cfg.Redis != "" {
		s, err := redis.Open(redis.Options{URL: c.cfg.Redis, Log: log})
		if err != nil {
			return l, nil, end, err
		}
		o.Shared, end = s.Edge(), func() { s.Close() }
	}
	return l, limit.New(o), end, nil
}

// limitedKeys are keys of the gateway, whose people and workspaces ask no more often
// than they may. What each key may, the gateway itself knows.
type limitedKeys struct {
	*app.Access
	limits  api.Limits
	limiter *limit.Limiter
}

func (k limitedKeys) Find(ctx context.Context, secret string) (mgx.APIKey, error) {
	key, err := k.Access.Find(ctx, secret)
	if err != nil || k.limiter == nil {
		return key, err
	}
	v := k.limiter.Take(ctx, 1, limit.Bucket{Policy: "user", Whose: string(key.User), Rate: k.limits.User},
		limit.Bucket{Policy: "workspace", Whose: string(key.Workspace), Rate: k.limits.Workspace})
	if v.OK {
		return key, nil
	}
	k.Throttled(ctx, access.Actor{User: key.User, Workspace: key.Workspace, Key: &key}, v.Policy)
	return key, mgx.Errorf(mgx.KindRefused, limit.CodeRateLimited, "there were too many requests of this %s; wait a moment, then go on more slowly (%w)", v.Policy, &limit.Excess{Wait: v.Wait})
}
