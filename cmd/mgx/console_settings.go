package main

import (
	"context"
	"time"

	"mgx/internal/api"
	"mgx/internal/web"
)

// settingsPages are what the pages of settings work with: what the API does.
func settingsPages(o *api.Options, s *api.Server) *web.Settings {
	return &web.Settings{
		Secrets: o.Secrets, Webhooks: o.Webhooks, Retention: o.Retention, Rights: o.Rights, Trial: o.Trial, Models: o.Models,
		Health: func(ctx context.Context) (web.Health, error) {
			st, err := s.Status(ctx)
			return healthOf(st), err
		},
	}
}

// healthOf is how a server stands, as its page draws it.
func healthOf(st api.Status) web.Health {
	h := web.Health{
		Ready: st.Status == "ready", Version: st.Version, Started: st.Started, Database: st.Data.Kind + " " + st.Data.Server, Schema: st.Data.Schema, Known: st.Data.Known,
		Head: st.Events.Head, Lag: st.Events.Lag, Subscribers: st.Events.Subscribers, Streams: st.Streams.Open, MostStreams: st.Streams.Most,
		Busy: st.Workers.Busy, Seats: st.Workers.Seats, Looked: momentOf(st.Workers.Looked), Due: st.Queue.Due, Waiting: st.Queue.Waiting, OldestDue: time.Duration(st.Queue.Oldest) * time.Second,
		Free: st.Disk.Free, Least: st.Disk.Min, LastSigned: momentOf(st.LastCheckpoint), LastBackup: momentOf(st.LastBackup),
	}
	if w := st.Wakes; w != nil {
		h.WakeUps, h.WakeTrouble = w.By, w.Trouble
	}
	for _, c := range st.Checks {
		h.Checks = append(h.Checks, web.HealthCheck{Name: c.Name, Status: c.Status, Detail: c.Detail, Took: time.Duration(c.MS * float64(time.Millisecond))})
	}
	for _, m := range st.Models {
		h.Models = append(h.Models, web.ModelHealth{Provider: m.Provider, Model: m.Model, Breaker: m.Breaker})
	}
	return h
}

// momentOf is a time that may be none.
func momentOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
