package main

import (
	"context"
	"log/slog"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/llm/redis"
	"mgx/internal/sandbox"
)

// share has the routers of this process share limits, and answers where the file
// of models says so, with other processes through the Redis at an address. Played
// calls share nothing: they are to be what they were.
func (m *models) share(address string, log *slog.Logger) (end func(), err error) {
	end = func() {}
	if address == "" || m.tape != nil && m.tape.player != nil {
		if m.file.Cache.Redis && address == "" && m.trouble == nil {
			m.trouble = mgx.Errorf(mgx.KindConfig, "no_redis", "cache.redis in the file of models keeps answers in Redis, and none is named; set --redis or MGX_REDIS, or use cache.memory_mb")
		}
		return end, nil
	}
	s, err := redis.Open(redis.Options{URL: address, Log: log})
	if err != nil {
		return end, err
	}
	o := m.file.StateOptions()
	o.Shared = s.Limits()
	if c := m.file.Cache; c.Redis {
		o.Cache = llm.Tiered(o.Cache, s.Cache(c.Lifetime()))
	}
	m.state = m.tape.state(o)
	return func() { s.Close() }, nil
}

// doctorRedis says whether the Redis of the configuration answers. Nothing needs
// it to.
func (c *cli) doctorRedis(ctx context.Context) []sandbox.Report {
	if c.cfg.Redis == "" {
		return nil
	}
	s, err := redis.Open(redis.Options{URL: c.cfg.Redis})
	if err == nil {
		defer s.Close()
		err = s.Ping(ctx)
	}
	check := sandbox.Check{Name: "redis", OK: err == nil, Detail: "shares limits and kept answers"}
	if err != nil {
		check.Detail = mgx.AsError(err).Message
	}
	return []sandbox.Report{{Driver: "shared by processes", Checks: []sandbox.Check{check}}}
}
