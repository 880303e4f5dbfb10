package main

import (
	"net/http"

	"mgx/internal/access"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/web"
)

// console makes the pages of a server, for those who signed in.
func (n *node) console(who *app.Access, o *api.Options) func(*api.Server) http.Handler {
	return func(s *api.Server) http.Handler {
		people := &web.People{Access: who, Where: s.Where, Secure: o.Secure}
		return n.hidesIn(web.New(web.Options{
			People: people,
			Who: func(r *http.Request) (access.Actor, error) {
				actor, err := people.Who(r)
				n.showing(r.Context(), actor.Workspace)
				return actor, err
			},
			Access: who, Work: n.app, Events: &app.Log{Access: who, Store: n.store, Contracts: o.Contracts}, Queues: &app.Queues{Access: who, Store: n.store}, Templates: o.Templates, Budgets: o.Budgets, Audit: o.Audit, Log: n.log, Sample: true, Links: n.links,
			Settings: settingsPages(o, s), Terms: n.store,
		}))
	}
}
