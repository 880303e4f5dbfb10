package web_test

import (
	"strings"

	"mgx"
	"mgx/internal/access"
)

// role gives the workspace one that may read some kinds of things.
func (s *stage) role(name string, kinds ...string) error {
	owner := access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Owner: true}
	_, err := s.access.PutRole(s.t.Context(), owner, mgx.Role{
		Name: name, Policy: `permit (principal, action in [Action::"read", Action::"connect"], resource) when { ["` + strings.Join(kinds, `", "`) + `"].contains(resource.kind) };`,
	})
	return err
}
