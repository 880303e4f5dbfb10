package app

import (
	"slices"

	"mgx"
	"mgx/internal/access"
)

// Granted is what a role lets people do to things of a kind.
type Granted struct {
	Kind    string
	Actions []string // to all of the workspace
	Own     []string // to their own only, besides
}

// All reports whether that is everything.
func (g Granted) All() bool { return len(g.Actions) == len(mgx.Actions) }

// Granted says what a role lets people do, by kind, leaving out the kinds of which
// it allows nothing. It is what the same policies decide by which [Access.Authorize]
// does, asked about things of which nothing more is known: a policy that looks at one
// thing by its id, or at where a request comes from, may allow more.
func (a *Access) Granted(r mgx.Role) (all []Granted, err error) {
	const somebody, somebodyElse, here = "user_somebody", "user_else", "ws_here"
	who := access.Actor{User: somebody, Workspace: here, Role: r.Name}
	if !r.BuiltIn {
		if err := access.CheckPolicy(r.Policy); err != nil {
			return nil, err
		}
	}
	for _, kind := range mgx.Resources {
		g := Granted{Kind: kind}
		for _, action := range mgx.Actions {
			may := func(of mgx.UserID) bool {
				return a.engine.Decide(who, r.Policy, action, access.Resource{Kind: kind, Workspace: here, User: of}) == nil
			}
			switch {
			case may(somebodyElse):
				g.Actions = append(g.Actions, action)
			case may(somebody):
				g.Own = append(g.Own, action)
			}
		}
		if len(g.Actions)+len(g.Own) > 0 {
			all = append(all, g)
		}
	}
	return all, nil
}

// Grantable are the roles of some that an actor may give others.
func (a *Access) Grantable(actor access.Actor, roles []mgx.Role) []mgx.Role {
	return slices.DeleteFunc(slices.Clone(roles), func(r mgx.Role) bool { return mayGrant(actor, r.Name) != nil })
}
