package api

import "net/http"

// besideConsole has the console answer every path that is not the API's.
func (s *Server) besideConsole(api *http.ServeMux) http.Handler {
	if s.o.Console == nil {
		return api
	}
	root := http.NewServeMux()
	root.Handle("/", s.visited(s.o.Console(s)))
	for _, ours := range []string{"/api/", "/v1", "/v1/", "/health/", "/metrics"} {
		root.Handle(ours, api)
	}
	return root
}
