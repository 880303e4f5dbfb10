package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

func (s *Server) settingRoutes() []route {
	const group = "Settings"
	return []route{
		op("GET /api/v1/settings/retention", to("read", "settings"), with(s.retention, getRetention), about{
			ID: "getRetention", Group: group, Short: "Show for how long events are kept, by category", Kind: "settings",
		}, installation),
		op("PUT /api/v1/settings/retention", to("manage", "settings"), with(s.retention, setRetention), about{
			ID: "setRetention", Group: group, Short: "Set for how long events are kept, by category", Kind: "settings", Codes: codes{"bad_retention": 400},
			Long: "Replaces what was set: a category that is not named is kept as its contracts say. What shows what was done and spent (billing, security, system) is not kept shorter than that. " +
				"A longer time holds for all events, a shorter one for those from now on. Old events go once a day.",
		}, installation),
	}
}

// retention is set for the whole installation.
func (s *Server) retention(ctx context.Context) (*app.Retention, error) {
	if s.o.Retention == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server removes no events")
	}
	theirs := *s.o.Retention
	theirs.By = actor(ctx).Doer()
	return &theirs, nil
}

type retentionOut struct {
	Body struct {
		Retention []app.Kept `json:"retention"`
	} `nameHint:"Retention"`
}

func getRetention(ctx context.Context, r *app.Retention, _ *none) (*retentionOut, error) {
	all, err := r.List(ctx)
	out := &retentionOut{}
	out.Body.Retention = every(all)
	return out, err
}

type retentionChange struct {
	Days map[string]int64 `json:"days" doc:"By category" example:"{\"agent\": 30}"`
}

func setRetention(ctx context.Context, r *app.Retention, in *struct{ Body retentionChange }) (*retentionOut, error) {
	if err := r.Set(ctx, in.Body.Days); err != nil {
		return nil, err
	}
	return getRetention(ctx, r, nil)
}
