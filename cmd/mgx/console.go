package main

import (
	"net/http"

	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/web"
)

// console makes the pages of a server, for those who signed in.
func (n *node) console(who *app.Access, secure bool) func(*api.Server) http.Handler {
	return func(s *api.Server) http.Handler {
		return web.New(web.Options{
			People: &web.People{Access: who, Where: s.Where, Secure: secure},
			Access: who, Work: n.app, Log: n.log, Sample: true,
		})
	}
}
