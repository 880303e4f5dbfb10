package main

import (
	"context"
	"log/slog"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/sandbox"
	"mgx/internal/store"
	"mgx/internal/store/nats"
)

// waker is how processes on one PostgreSQL wake each other, if not by PostgreSQL.
func (c *cli) waker(log *slog.Logger) (store.Waker, error) {
	if c.cfg.NATS == "" {
		return nil, nil
	}
	s, err := nats.New(c.cfg.NATS, log)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// wakeChecks are what /health/ready says of that. The server works without.
func wakeChecks(s *store.Store) []api.Check {
	if _, apart := s.WakeUps(); !apart {
		return nil
	}
	trouble := func(context.Context) error { u, _ := s.WakeUps(); return u.Trouble }
	return []api.Check{{Name: "wake_ups", Run: trouble, Optional: true}}
}

// doctorNATS tries the NATS of the configuration. Nothing needs it.
func (c *cli) doctorNATS(ctx context.Context) []sandbox.Report {
	if c.cfg.NATS == "" {
		return nil
	}
	check := sandbox.Check{Name: "nats", OK: true, Detail: "answers, and lets MGX publish and subscribe"}
	s, err := nats.New(c.cfg.NATS, slog.New(slog.DiscardHandler))
	if err == nil {
		err = s.Try(ctx)
	}
	if err != nil {
		check.OK, check.Detail = false, mgx.AsError(err).Message
	}
	return []sandbox.Report{{Driver: "wake-ups", Checks: []sandbox.Check{check}}}
}
