package api

import (
	"net/http"

	"mgx"
)

func (s *Server) healthRoutes() []route {
	const group = "Health"
	return []route{
		plain[none, aliveOut]("GET /health/{$}", s.getAlive, anybody, about{ID: "getHealth", Group: group, Short: "Say that the server is alive, and its version"}),
		plain[none, liveOut]("GET /health/live", s.getLive, anybody, about{ID: "getLive", Group: group, Short: "Say that the server is alive"}),
		plain[none, readyOut]("GET /health/ready", s.getReady, anybody, about{
			ID: "getReady", Group: group, Short: "Try whether the server can do its work", Also: also{http.StatusServiceUnavailable: readiness{}},
		}),
		plain[none, statusOut]("GET /health/status", s.getStatus, to("read", "settings"), about{ID: "getStatus", Group: group, Short: "Show how the server stands"}, installation),
		plain[none, textOut]("GET /metrics", s.getMetrics, to("read", "settings"), about{
			ID: "getMetrics", Group: group, Short: "Get the metrics of this process, for Prometheus", Type: "text/plain",
		}, installation),
	}
}

type aliveOut struct {
	Body struct {
		Status  string `json:"status" example:"alive"`
		Version string `json:"version" doc:"Of mgx"`
	} `nameHint:"Alive"`
}

type liveOut struct {
	Body struct {
		Status string `json:"status" example:"live"`
	} `nameHint:"Live"`
}

type readyOut struct {
	Body readiness
}

type statusOut struct {
	Body Status
}

type textOut struct {
	Body string
}

// getMetrics serves the metrics of this process, to whoever may read the settings
// of the installation. Prometheus sends a key with that scope, or from the same
// machine the owner's token, with authorization: {credentials_file: …} in its
// scrape configuration.
func (s *Server) getMetrics(w http.ResponseWriter, r *http.Request) error {
	if s.o.Metrics == nil {
		return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server collects no metrics")
	}
	s.o.Metrics.ServeHTTP(w, r)
	return nil
}
