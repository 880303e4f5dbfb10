package api

import "time"

// RouteInfo is a route as the tests of who may do what see it.
type RouteInfo struct {
	Pattern, Action, Kind string
	Anybody, Somebody     bool
	Installation          bool
	Own                   bool // it means the actor's own things
	Socket                bool
}

// Routes are all of a server.
func Routes(s *Server) (all []RouteInfo) {
	for _, r := range s.routes() {
		all = append(all, RouteInfo{
			Pattern: r.pattern, Action: r.needs.action, Kind: r.needs.kind, Anybody: r.needs == anybody, Somebody: r.needs == somebody,
			Installation: r.flags&installation != 0, Own: r.flags&finer != 0, Socket: r.flags&socks != 0,
		})
	}
	return all
}

// ForgetReady has the next request try everything again.
func (s *Server) ForgetReady() { s.health.at = time.Time{} }
