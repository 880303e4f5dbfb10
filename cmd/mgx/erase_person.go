package main

import (
	"context"
	"fmt"
	"time"

	"mgx"
	"mgx/internal/ui"
)

func (c *cli) erasePerson(ctx context.Context, r rights, name string, tasks, yes bool) error {
	id, err := personNamed(ctx, r, name)
	if err != nil {
		return err
	}
	plan, err := r.PlanPerson(ctx, id)
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
	done, err := r.ErasePerson(ctx, id, tasks)
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

func (c *cli) eraseWorkspace(ctx context.Context, r rights, ws mgx.WorkspaceID, yes bool) error {
	plan, err := r.PlanWorkspace(ctx, ws)
	if err != nil {
		return err
	}
	if !plan.ErasedAt.IsZero() && !c.json {
		fmt.Fprintf(c.err, "It was erased on %s; whatever is there still goes.\n", plan.ErasedAt.Format(time.DateOnly))
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
	done, err := r.EraseWorkspace(ctx, ws)
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
