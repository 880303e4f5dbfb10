package main

import (
	"context"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/sandbox"
	"mgx/internal/store"
)

// tenantChecks are what /health/ready says of the second wall between tenants. The
// server works without, and every query names its workspace all the same.
func tenantChecks(s *store.Store) []api.Check {
	if s.Wall().Role == "" { // the database cannot have one
		return nil
	}
	return []api.Check{{Name: "second_wall", Optional: true, Run: func(context.Context) error { return wallStands(s.Wall()) }}}
}

func wallStands(w store.Wall) error {
	if w.Stands {
		return nil
	}
	return mgx.Errorf(mgx.KindConfig, "no_second_wall", "the second wall between workspaces does not stand: %s", w.Why)
}

// doctorTenants says whether the database keeps tenants apart by itself, too.
func (c *cli) doctorTenants(ctx context.Context) []sandbox.Report {
	if !store.IsPostgres(c.cfg.Database) {
		return nil
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return nil // which another line says
	}
	defer n.close()
	check := sandbox.Check{Name: "row-level security", OK: true, Detail: "stands: what is asked for a workspace runs as " + n.store.Wall().Role}
	if err := wallStands(n.store.Wall()); err != nil {
		check.OK, check.Detail = false, mgx.AsError(err).Message
	}
	return []sandbox.Report{{Driver: "tenants", Checks: []sandbox.Check{check}}}
}
