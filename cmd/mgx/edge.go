package main

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/limit"
	"mgx/internal/llm/redis"
)

const queueWait = time.Second // of a request for which there is no room yet

func addRateLimits(flags *pflag.FlagSet) {
	flags.String("rate-limits", "default", "`bounds` of what is asked, such as user=6000,address=600, or off; see docs/limits.md")
}

// edge bounds what a server is asked, together with other processes where there is
// a Redis.
func (c *cli) edge(log *slog.Logger) (l api.Limits, limiter *limit.Limiter, end func(), err error) {
	end = func() {}
	rates := c.cfg.Rates
	of := func(name string) limit.Rate { return limit.Rate{PerMinute: rates[name]} }
	l = api.Limits{
		Key: of("key"), User: of("user"), Workspace: of("workspace"), Address: of("address"),
		KeyStreams: rates["key-streams"], UserStreams: rates["user-streams"], WorkspaceStreams: rates["workspace-streams"],
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

// connections bounds those of a server. All who come through a proxy have its address,
// and whoever is on this machine has other means.
func (c *cli) connections(proxies []netip.Prefix, full func(of string)) api.ConnLimits {
	most := c.cfg.Rates["connections"]
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && most > 0 {
		most = int(min(uint64(most), max(files.Cur/4*3, 1))) // the rest is for everything else
	}
	here := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	return api.ConnLimits{Most: most, Address: c.cfg.Rates["address-connections"], Spared: append(here, proxies...), Full: full}
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
	if err == nil {
		api.Known(ctx)
	}
	if k.limiter == nil {
		return key, err
	}
	if mgx.IsCode(err, access.CodeUnauthenticated) || mgx.IsCode(err, access.CodeKeyExpired) {
		return key, cmp.Or(k.charge(ctx), err)
	}
	if err != nil {
		return key, err
	}
	v := k.limiter.Take(ctx, 1, limit.Bucket{Policy: "user", Whose: string(key.User), Rate: k.limits.User},
		limit.Bucket{Policy: "workspace", Whose: string(key.Workspace), Rate: k.limits.Workspace})
	if v.OK {
		return key, nil
	}
	return key, k.excess(ctx, access.Actor{User: key.User, Workspace: key.Workspace, Key: &key}, v)
}

// charge has an address pay for a key that is none, as the API does. Others there,
// with good ones, are not kept out by that.
func (k limitedKeys) charge(ctx context.Context) error {
	where, local, known := access.CameFrom(ctx)
	if !known || local {
		return nil
	}
	v := k.limiter.Take(ctx, limit.FailureCost, limit.Bucket{Policy: "address", Whose: access.Network(where.Address), Rate: k.limits.Address})
	if v.OK {
		return nil
	}
	return k.excess(ctx, access.Actor{Where: where}, v)
}

// excess refuses who asked too often, and has it remembered.
func (k limitedKeys) excess(ctx context.Context, actor access.Actor, v limit.Verdict) error {
	k.Throttled(ctx, actor, v.Policy)
	return mgx.Errorf(mgx.KindRefused, limit.CodeRateLimited, "there were too many requests of this %s; wait a moment, then go on more slowly (%w)", v.Policy, &limit.Excess{Wait: v.Wait})
}
