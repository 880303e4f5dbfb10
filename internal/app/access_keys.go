package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
)

// NewAPIKey is what it takes to make a key.
type NewAPIKey struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`        // required
	Service bool       `json:"service"`       // it stands for no member, and can only call models
	Models  []string   `json:"models"`        // that it may call; none: all
	Budget  *mgx.Money `json:"budget_usd"`    // nil: none of its own
	Period  string     `json:"budget_period"` // daily, monthly; empty: for ever
	Expires int64      `json:"expires_in"`    // seconds; 0: never

	// User is on whose behalf it acts, when that is not the actor's. Only the owner
	// of the data directory says so; who is no member makes it a service's.
	User mgx.UserID `json:"-"`
}

const (
	maxScopes    = 50
	maxKeyModels = 100
	maxExpiry    = 10 * 365 * 24 * time.Hour
	maxOverlap   = 7 * 24 * time.Hour
)

// CreateKey makes a key and returns it with its secret, which is not shown again.
func (a *Access) CreateKey(ctx context.Context, actor access.Actor, n NewAPIKey) (k mgx.APIKey, secret string, err error) {
	if k, err = a.newKey(ctx, actor, n); err != nil {
		return k, "", a.refused(ctx, actor, "create", access.Resource{Kind: "keys"}, err)
	}
	on := access.Resource{Kind: "keys", Workspace: actor.Workspace, User: k.User}
	action := "create"
	if k.Role == mgx.RoleService {
		action = "manage"
	}
	err = a.Authorize(ctx, actor, action, on)
	if err == nil {
		err = a.mayServe(ctx, actor, k)
	}
	if err != nil {
		return k, "", err
	}
	k, secret = access.NewKey(k)
	if err := a.o.Store.CreateKey(ctx, actor.Doer(), k); err != nil {
		return k, "", err
	}
	k, err = a.o.Store.Key(ctx, k.ID)
	return k, secret, err
}

// mayServe refuses whoever would have a key of a service do what they may not: it has
// a role of its own, and not theirs.
func (a *Access) mayServe(ctx context.Context, actor access.Actor, k mgx.APIKey) error {
	if k.Role != mgx.RoleService {
		return nil
	}
	for _, action := range []string{"read", "execute"} { // all that the role permits
		if !mgx.InScope(k.Scopes, "models", action) {
			continue
		}
		if err := a.Authorize(ctx, actor, action, access.Resource{Kind: "models", Workspace: actor.Workspace}); err != nil {
			return err
		}
	}
	return nil
}

// within refuses a key that calls other models than the one that makes it or has it, or
// outlasts it, or spends beside its budget.
func within(maker *mgx.APIKey, k mgx.APIKey) error {
	if maker == nil || maker.ID == k.ID {
		return nil
	}
	beyond := func(what string) error {
		return mgx.Errorf(mgx.KindRefused, access.CodeOutOfScope, "a key makes only keys that may do no more than itself; %s", what)
	}
	switch {
	case maker.Budget != nil:
		return beyond("what another spends would be beside its budget")
	case !maker.ExpiresAt.IsZero() && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(maker.ExpiresAt)):
		return beyond("it expires on " + maker.ExpiresAt.Format(time.RFC3339))
	case len(maker.Models) > 0 && (len(k.Models) == 0 || slices.ContainsFunc(k.Models, func(m string) bool { return !slices.Contains(maker.Models, m) })):
		return beyond("name some of the models that it may call: " + strings.Join(maker.Models, ", "))
	}
	return nil
}

// newKey holds what is asked for against what a key can be, and against what the
// actor itself may do.
func (a *Access) newKey(ctx context.Context, actor access.Actor, n NewAPIKey) (k mgx.APIKey, err error) {
	bad := func(code, format string, args ...any) (mgx.APIKey, error) {
		return k, mgx.Errorf(mgx.KindUsage, code, format, args...)
	}
	if n.Name, err = access.Name(n.Name); err != nil {
		return k, err
	}
	switch {
	case len(n.Scopes) == 0 || len(n.Scopes) > maxScopes:
		return bad("bad_scope", "a key has 1 to %d scopes, such as models or runs:read", maxScopes)
	case len(n.Models) > maxKeyModels:
		return bad("too_many_models", "a key names at most %d models; use globs", maxKeyModels)
	case n.Period != "" && n.Period != "daily" && n.Period != "monthly":
		return bad("bad_budget", "the budget of a key is daily, monthly or, with no period, for ever")
	case n.Budget != nil && *n.Budget < 0:
		return bad("bad_budget", "the budget of a key is an amount of US dollars, 0 or more")
	case n.Expires < 0 || n.Expires > int64(maxExpiry/time.Second):
		return bad("bad_expiry", "a key expires in a number of seconds from now, up to ten years, or with 0 never")
	}
	k = mgx.APIKey{Workspace: actor.Workspace, User: actor.User, Name: n.Name, Scopes: n.Scopes, Models: n.Models, Budget: n.Budget, Period: n.Period}
	if n.Expires > 0 {
		k.ExpiresAt = a.o.Now().Add(time.Duration(n.Expires) * time.Second).UTC().Truncate(time.Microsecond)
	}
	if err := a.standsFor(ctx, actor, n, &k); err != nil {
		return k, err
	}
	if maker := actor.Key; maker != nil {
		if k.ExpiresAt.IsZero() {
			k.ExpiresAt = maker.ExpiresAt
		}
		if len(k.Models) == 0 {
			k.Models = maker.Models
		}
	}
	if err := within(actor.Key, k); err != nil {
		return k, err
	}
	for _, scope := range k.Scopes {
		if err := mgx.CheckScope(scope); err != nil {
			return k, err
		}
		if actor.Scopes != nil && !mgx.Within(scope, actor.Scopes) {
			return k, mgx.Errorf(mgx.KindRefused, access.CodeOutOfScope, "a key makes only keys that may do no more than itself; %s is beyond its scopes", scope)
		}
		if k.Role == mgx.RoleService && !mgx.Within(scope, []string{"models"}) {
			return bad("bad_scope", "a key of a service can only call models; give it the scope models")
		}
	}
	return k, nil
}

// standsFor finds for whom a key acts, and as what.
func (a *Access) standsFor(ctx context.Context, actor access.Actor, n NewAPIKey, k *mgx.APIKey) error {
	if n.Service {
		k.Role = mgx.RoleService
	}
	if actor.Key != nil && !n.Service { // or a key could outlive the role it has
		k.Role = actor.Key.Role
	}
	if n.User == "" || n.User == actor.User {
		return nil
	}
	if !actor.Owner {
		return mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "a key stands for whoever makes it")
	}
	k.User = n.User
	_, err := a.o.Store.Member(ctx, actor.Workspace, n.User)
	if mgx.IsCode(err, mgx.CodeNotFound) {
		k.Role, err = mgx.RoleService, nil
	}
	return err
}

// Keys lists the keys of the actor's workspace, oldest first, after one: all of
// them, or only their own for those who may not see others'.
func (a *Access) Keys(ctx context.Context, actor access.Actor, after mgx.KeyID, limit int) ([]mgx.APIKey, error) {
	user := actor.User
	if a.may(ctx, actor, "read", access.Resource{Kind: "keys"}) {
		user = ""
	}
	return a.o.Store.Keys(ctx, actor.Workspace, user, after, limit)
}

// Key returns a key of the actor's workspace.
func (a *Access) Key(ctx context.Context, actor access.Actor, id mgx.KeyID) (mgx.APIKey, error) {
	return a.key(ctx, actor, "read", id)
}

// key finds a key and asks whether an actor may do something with it. That of
// another workspace is as good as none.
func (a *Access) key(ctx context.Context, actor access.Actor, action string, id mgx.KeyID) (mgx.APIKey, error) {
	k, err := a.o.Store.Key(ctx, id)
	if err == nil && k.Workspace != actor.Workspace {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no key %s; see: mgx keys", id)
	}
	if err != nil {
		return mgx.APIKey{}, err
	}
	if err := a.Authorize(ctx, actor, action, access.Resource{Kind: "keys", ID: string(id), Workspace: k.Workspace, User: k.User}); err != nil {
		return mgx.APIKey{}, err
	}
	return k, nil
}

// RevokeKey makes a key worthless for good.
func (a *Access) RevokeKey(ctx context.Context, actor access.Actor, id mgx.KeyID) error {
	if _, err := a.key(ctx, actor, "delete", id); err != nil {
		return err
	}
	return a.changed(a.o.Store.RevokeKey(ctx, actor.Doer(), actor.Workspace, id))
}

// RotateKey gives a key another secret, which is not shown again. The one before
// is good for overlap, at most a week.
func (a *Access) RotateKey(ctx context.Context, actor access.Actor, id mgx.KeyID, overlap time.Duration) (secret string, err error) {
	if overlap < 0 || overlap > maxOverlap {
		return "", mgx.Errorf(mgx.KindUsage, "bad_overlap", "the secret before is good for 0 seconds to a week")
	}
	k, err := a.key(ctx, actor, "update", id)
	if err != nil {
		return "", err
	}
	// Whoever has the new secret is the key: so it takes as much as to make it.
	if err := a.refused(ctx, actor, "update", access.Resource{Kind: "keys", ID: string(id)}, mayHave(actor, k)); err != nil {
		return "", err
	}
	if err := a.mayServe(ctx, actor, k); err != nil {
		return "", err
	}
	secret = access.KeySecret(id)
	if err := a.o.Store.RotateKey(ctx, actor.Doer(), actor.Workspace, id, access.Digest(secret), overlap); err != nil {
		return "", err
	}
	a.Forget()
	return secret, nil
}

// mayHave refuses the new secret of a key to whoever would be more by it than they are.
func mayHave(actor access.Actor, k mgx.APIKey) error {
	for _, scope := range k.Scopes {
		if actor.Scopes != nil && !mgx.Within(scope, actor.Scopes) {
			return mgx.Errorf(mgx.KindRefused, access.CodeOutOfScope, "a key rotates only keys that may do no more than itself")
		}
	}
	if err := within(actor.Key, k); err != nil {
		return err
	}
	if k.User != actor.User && k.Role != mgx.RoleService && !actor.Owner {
		return mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only whom a key stands for may have its new secret; revoke it instead")
	}
	return nil
}
