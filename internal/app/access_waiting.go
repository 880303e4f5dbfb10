package app

import (
	"context"
	"slices"

	"mgx"
	"mgx/internal/access"
)

// An invitation to an address waits for whoever has that address. Nobody becomes a
// member by being invited: what their requests mean would change with it.

// Waiting lists the invitations that wait for a person.
func (a *Access) Waiting(ctx context.Context, actor access.Actor) ([]mgx.WaitingInvitation, error) {
	if err := person(actor); err != nil {
		return nil, err
	}
	return a.o.Store.InvitationsTo(ctx, actor.User)
}

// AcceptWaiting makes a person a member, as what the invitation says.
func (a *Access) AcceptWaiting(ctx context.Context, actor access.Actor, id mgx.InvitationID) (mgx.Member, error) {
	i, by, err := a.waiting(ctx, actor, id)
	if err != nil {
		return mgx.Member{}, err
	}
	err = a.o.Store.Accept(ctx, by, mgx.Acceptance{Digest: i.Digest, User: mgx.User{ID: actor.User}})
	if a.changed(err) != nil {
		return mgx.Member{}, err
	}
	return a.o.Store.Member(mgx.ForInstallation(ctx), i.Workspace, actor.User)
}

// Decline ends an invitation that waits for a person.
func (a *Access) Decline(ctx context.Context, actor access.Actor, id mgx.InvitationID) error {
	i, by, err := a.waiting(ctx, actor, id)
	if err != nil {
		return err
	}
	return a.o.Store.Decline(ctx, by, i.Workspace, id)
}

// waiting is one invitation that waits for a person, and who they are to the log of
// the workspace that invited them.
func (a *Access) waiting(ctx context.Context, actor access.Actor, id mgx.InvitationID) (i mgx.WaitingInvitation, by mgx.Doer, err error) {
	all, err := a.Waiting(ctx, actor)
	if err != nil {
		return i, by, err
	}
	n := slices.IndexFunc(all, func(i mgx.WaitingInvitation) bool { return i.ID == id })
	if n < 0 {
		return i, by, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "no invitation %s waits for you: it was used or taken back, its time is over, or it is for another address", id)
	}
	by = actor.Doer()
	by.Workspace = all[n].Workspace
	return all[n], by, nil
}
