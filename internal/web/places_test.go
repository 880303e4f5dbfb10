package web_test

import (
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/event"
	"mgx/internal/web"
)

// places are the options of a console with all that pages about the workspace need.
func (s *stage) places(contracts *event.Registry, o web.Options) web.Options {
	o.Events = &app.Log{Access: s.access, Store: s.store, Contracts: contracts}
	o.Queues = &app.Queues{Access: s.access, Store: s.store}
	return o
}

// role gives the workspace one that may read some kinds of things.
func (s *stage) role(name string, kinds ...string) error {
	owner := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}
	_, err := s.access.PutRole(s.t.Context(), owner, mgx.Role{
		Name: name, Policy: `permit (principal, action in [Action::"read", Action::"connect"], resource) when { ["` + strings.Join(kinds, `", "`) + `"].contains(resource.kind) };`,
	})
	return err
}
