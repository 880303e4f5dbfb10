package api

import (
	"encoding/json"
	"strings"
)

import "time"

// RouteInfo is a route as the tests of who may do what see it.
type RouteInfo struct {
	Pattern, Action, Kind string
	Anybody, Somebody     bool
	Installation          bool
	Own                   bool // it means the actor's own things
	Socket                bool
}

// Routes are all of a server, as its document tells of them.
func Routes(s *Server) (all []RouteInfo) {
	text, err := s.Document()
	if err != nil {
		panic(err)
	}
	var doc struct {
		Paths map[string]map[string]struct {
			Needs        string `json:"x-needs"`
			Installation bool   `json:"x-installation"`
			Own          bool   `json:"x-own"`
			Socket       bool   `json:"x-socket"`
			Dialect      bool   `json:"x-dialect"`
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		panic(err)
	}
	for _, path := range sortedKeys(doc.Paths) {
		for _, method := range []string{"get", "post", "put", "patch", "delete"} { // what removes something comes last
			o, there := doc.Paths[path][method]
			if !there || o.Dialect {
				continue
			}
			r := RouteInfo{Pattern: strings.ToUpper(method) + " " + path, Anybody: o.Needs == "anybody", Somebody: o.Needs == "somebody", Installation: o.Installation, Own: o.Own, Socket: o.Socket}
			if !r.Anybody && !r.Somebody {
				r.Action, r.Kind, _ = strings.Cut(o.Needs, " ")
			}
			all = append(all, r)
		}
	}
	if len(all) != len(s.surface.byPath) {
		panic("the document does not tell of every route")
	}
	return all
}

// ForgetReady has the next request try everything again.
func (s *Server) ForgetReady() { s.health.at = time.Time{} }
