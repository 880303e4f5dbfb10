package app

import (
	"context"
	"fmt"
	"time"

	"mgx"
	"mgx/internal/access"
)

// What one subject, an actor or an address, does in a minute that an honest one
// rarely does. Each is told once in suspicionsWindow, however long it goes on, so
// that an attack fills no log.
const (
	manySecrets   = 20  // shown from one network, that are none
	manyAccounts  = 20  // failures to sign in from one network, to whichever accounts
	manyThrottled = 100 // requests refused for being too many
	fewElsewhere  = 20  // things that are not there, of which it is found out whether they are another tenant's

	suspicionsWindow = 10 * time.Minute
	mostSuspicions   = 60 // in a window, of all subjects
)

// Identify returns who shows a proof, and remembers proofs that are none.
func (a *Access) Identify(ctx context.Context, p access.Proof) (access.Actor, error) {
	actor, err := a.Authenticator.Identify(ctx, p)
	switch {
	case err == nil || a.o.Store == nil || mgx.AsError(err).Kind != mgx.KindRefused:
	case mgx.IsCode(err, access.CodeNotMember):
		a.trespassed(ctx, actor, p)
	case mgx.IsCode(err, access.CodeUnauthenticated):
		a.strange(ctx, p.Where)
	}
	return actor, err
}

// strange remembers that a secret that is none was shown.
func (a *Access) strange(ctx context.Context, where access.Where) {
	if n := a.again("secret " + access.Network(where.Address)); n == manySecrets {
		a.warn(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
			Severity: "low", Address: where.Address, What: "authentication_failures", Blocked: true, Count: int64(n),
			Detail: fmt.Sprintf("%d keys or tokens that are none were shown in a minute from one network.", n),
		})
	}
}

// trespassed: somebody wanted to act in a workspace that is not theirs.
func (a *Access) trespassed(ctx context.Context, actor access.Actor, p access.Proof) {
	if actor.User == "" {
		return
	}
	target := string(p.Workspace)
	if len(target) > 100 {
		target = target[:100]
	}
	a.warn(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
		Severity: "medium", Actor: actor.ID(), Address: p.Where.Address, What: "cross_tenant", Blocked: true, Count: 1, Target: target,
		Detail: "Somebody wanted to act in a workspace of which they are no member, or which there is not.",
	})
}

// Elsewhere says of which other workspace something is; *store.Store is one that
// can.
type Elsewhere interface {
	Elsewhere(ctx context.Context, ws mgx.WorkspaceID, id string) (other mgx.WorkspaceID, found bool, err error)
}

// Missed remembers that an actor asked for something that is not there. Where it is
// another tenant's, the log of the installation is told; the actor's own is not, or
// it would say that there is such a thing.
func (a *Access) Missed(ctx context.Context, actor access.Actor, id string) {
	look, can := a.o.Store.(Elsewhere)
	if !can || id == "" || len(id) > 200 || actor.Owner || a.again("missed "+actor.ID()) > fewElsewhere {
		return
	}
	ctx = mgx.ForInstallation(context.WithoutCancel(ctx))
	other, found, err := look.Elsewhere(ctx, actor.Workspace, id)
	if err != nil || !found {
		return // what cannot be found out now may be the next time
	}
	a.warn(ctx, mgx.DefaultWorkspace, mgx.SuspicionData{
		Severity: "high", Actor: actor.ID(), Address: actor.Where.Address, What: "cross_tenant", Blocked: true, Count: 1, Target: id,
		Detail: fmt.Sprintf("Somebody who acts in %s asked for something of %s.", actor.Workspace, other),
	})
}

// Throttled remembers that somebody asked more often than they may.
func (a *Access) Throttled(ctx context.Context, actor access.Actor, policy string) {
	who, ws := actor.ID(), actor.Workspace
	if who == "" {
		who, ws = access.Network(actor.Where.Address), ""
	}
	if a.again("throttled "+who) != manyThrottled {
		return
	}
	if ws == "" {
		ws = mgx.DefaultWorkspace
	}
	a.warn(ctx, ws, mgx.SuspicionData{
		Severity: "low", Actor: actor.ID(), Address: actor.Where.Address, What: "unusual_volume", Blocked: true, Count: manyThrottled,
		Detail: fmt.Sprintf("%d requests in a minute were refused, since there were too many of this %s.", manyThrottled, policy),
	})
}

// warn tells the log of something suspicious, unless it was told of the same lately
// or of very much.
func (a *Access) warn(ctx context.Context, ws mgx.WorkspaceID, d mgx.SuspicionData) {
	if a.o.Store == nil || !a.isNews(d) {
		return
	}
	if err := a.suspect(context.WithoutCancel(ctx), ws, d); err != nil {
		a.o.Log.Error("something suspicious cannot be recorded", "what", d.What, "actor", d.Actor, "error", err)
	}
}

// isNews reports whether the log does not know of something yet.
func (a *Access) isNews(d mgx.SuspicionData) bool {
	subject := d.Actor
	if subject == "" {
		subject = access.Network(d.Address)
	}
	key := d.What + " " + subject
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.o.Now()
	for k, at := range a.told {
		if now.Sub(at) >= suspicionsWindow {
			delete(a.told, k)
		}
	}
	if _, known := a.told[key]; known {
		return false
	}
	if len(a.told) >= mostSuspicions {
		a.o.Log.Warn("there is too much that is suspicious to record all of it", "what", d.What, "actor", d.Actor, "address", d.Address)
		return false
	}
	if a.told == nil {
		a.told = map[string]time.Time{}
	}
	a.told[key] = now
	return true
}
