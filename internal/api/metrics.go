package api

import (
	"net/http"

	"mgx"
)

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
