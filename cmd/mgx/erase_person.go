package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/ui"
)

// ownRights are the rights on data of the owner of the data directory, in a
// workspace.
func (n *node) ownRights(ws mgx.WorkspaceID) *app.Rights {
	own := n.asOwner()
	own.actor.Workspace = ws
	return &app.Rights{Actor: own.actor, Access: own.Access, Store: n.store, Files: n.exportFiles, Remove: func(id mgx.RunID) error { return removeRun(n.runDir(id)) }}
}

func (c *cli) erasePerson(ctx context.Context, name string, tasks, yes bool) (err error) {
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	id := mgx.UserID(name)
	if strings.Contains(name, "@") {
		if id, err = findPerson(ctx, n.store, name); err != nil {
			return err
		}
	}
	rights := n.ownRights(mgx.DefaultWorkspace)
	plan, err := rights.PlanPerson(ctx, id)
	if err != nil {
		return err
	}
	if !c.json {
		c.sayPerson(plan, tasks)
	}
	if !yes {
		if err := c.confirm(ctx, string(id)); err != nil {
			return err
		}
	}
	done, err := rights.ErasePerson(ctx, id, tasks, string(id))
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, done)
	}
	fmt.Fprintf(c.err, "Erased %s: %d audit entries lost their details, %d security events their data.\n", id, done.Entries, done.Events)
	c.sayCopies()
	return nil
}

// sayPerson says what goes of a person, and what stays and why.
func (c *cli) sayPerson(p mgx.PersonErasure, tasks bool) {
	fmt.Fprintf(c.err, "Goes: the account, %d memberships, %d sessions, %d keys, %d invitations, %d identities; the details of %d audit entries and the data of %d security events.\n",
		len(p.Workspaces), p.Sessions, p.Keys, p.Invitations, p.Identities, p.Entries, p.Events)
	switch written := len(p.Tasks) + len(p.Mentions); {
	case written == 0:
	case tasks:
		fmt.Fprintf(c.err, "Goes: the words of %d tasks that they wrote and %d that hold their address, with all their runs.\n", len(p.Tasks), len(p.Mentions))
	default:
		fmt.Fprintf(c.err, "Stays: the words of %d tasks that they wrote and %d that hold their address, which are the work of their workspaces; --tasks erases them, too.\n", len(p.Tasks), len(p.Mentions))
	}
	fmt.Fprintln(c.err, "Stays: ids, times, counts and money, which say that somebody did something, and no longer who.")
}

func (c *cli) eraseWorkspace(ctx context.Context, ws mgx.WorkspaceID, yes bool) (err error) {
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	rights := n.ownRights(ws)
	plan, err := rights.PlanWorkspace(ctx)
	if err != nil {
		return err
	}
	if !c.json {
		fmt.Fprintf(c.err, "Goes: %s (%s), the words of %d tasks with %d runs and of %d audit entries, %d keys, %d secrets, %d webhooks, %d projects, and the places of %d members, whose accounts stay.\n",
			ui.Text(plan.Name), plan.Workspace, plan.Tasks, len(plan.Runs), plan.Entries, plan.Keys, plan.Secrets, plan.Webhooks, plan.Projects, plan.Members)
		fmt.Fprintln(c.err, "Stays: ids, times, counts and money, and the proofs of its audit log.")
	}
	if !yes {
		if err := c.confirm(ctx, string(ws)); err != nil {
			return err
		}
	}
	done, err := rights.EraseWorkspace(ctx, string(ws))
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, done)
	}
	fmt.Fprintf(c.err, "Erased %s.\n", ws)
	c.sayCopies()
	return nil
}

func (c *cli) sayCopies() {
	fmt.Fprintln(c.err, "Backups and exports made before hold it still: delete them, or make them again.")
}
