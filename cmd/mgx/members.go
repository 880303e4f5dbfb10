package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/ui"
)

func (c *cli) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "members",
		Short: "List and change who is in a workspace",
		Long: `Lists the members of a workspace and their roles: admin, developer, viewer, auditor, or one
that the workspace made; docs/access.md says what each may do. On the data directory its
owner does this; with --server whoever signed in there, as far as their role allows.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listMembers) },
	}
	cmd.AddCommand(c.inviteCommand(), c.memberRoleCommand(), c.memberRemoveCommand(), c.memberResetCommand(), c.invitationsCommand())
	return cmd
}

func (c *cli) listMembers(ctx context.Context, p people) error {
	all, err := p.Members(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No members yet. The first comes when mgx serve starts, others with: mgx members invite")
	}
	for _, m := range all {
		c.printf("%-31s  %-10s  %s  %s\n", m.User, m.Role, ui.Text(m.Email), ui.Text(m.Name))
	}
	return nil
}

func (c *cli) inviteCommand() *cobra.Command {
	var n client.NewInvitation
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "invite [ADDRESS]",
		Short: "Let somebody in",
		Long: `Makes an invitation and prints its token, this once. Whoever has it becomes a member by
mgx login --invitation TOKEN; with ADDRESS only with that address.`,
		Args: optionalArg("an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				n.Email = args[0]
			}
			if expires < 0 || expires > 0 && expires < time.Second {
				return usage("bad_expiry", "--expires takes a time from now, such as 24h, not %s", expires)
			}
			n.Expires = int64(expires / time.Second)
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				i, token, err := p.Invite(ctx, n)
				if err != nil {
					return err
				}
				return c.showInvitation(i, token)
			})
		},
	}
	cmd.Flags().StringVar(&n.Role, "role", mgx.RoleDeveloper, "the `role` they get")
	cmd.Flags().DurationVar(&expires, "expires", 0, "good for this `time` (default 168h)")
	return cmd
}

func (c *cli) showInvitation(i mgx.Invitation, token string) error {
	return c.showOnce(token, map[string]any{"invitation": i, "token": token},
		"Made %s, good once until %s UTC. The token, shown only now:", i.ID, i.ExpiresAt.UTC().Format(time.DateTime))
}

func (c *cli) memberRoleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "role MEMBER ROLE",
		Short: "Give a member another role",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage("bad_arguments", "%s takes a member's address or id, and a role", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMember(cmd.Context(), args[0], func(ctx context.Context, p people, m mgx.Member) error {
				if err := p.SetRole(ctx, m.User, args[1]); err != nil {
					return err
				}
				c.tell("%s is %s now.\n", m.User, args[1])
				return nil
			})
		},
	}
}

func (c *cli) withMember(ctx context.Context, name string, f func(context.Context, people, mgx.Member) error) error {
	return c.withPeople(ctx, func(ctx context.Context, p people) error {
		m, err := oneMember(ctx, p, name)
		if err != nil {
			return err
		}
		return f(ctx, p, m)
	})
}

func (c *cli) memberRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "remove MEMBER",
		Short: "End a membership, and what the member's keys could do in the workspace",
		Args:  oneArg("a member's address or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMember(cmd.Context(), args[0], func(ctx context.Context, p people, m mgx.Member) error {
				if err := p.RemoveMember(ctx, m.User); err != nil {
					return err
				}
				c.tell("Removed %s.\n", m.User)
				return nil
			})
		},
	}
}

func (c *cli) memberResetCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "reset MEMBER",
		Short: "Let a member set a password, once",
		Long: `Prints what lets a member set a password once, by mgx login --invitation TOKEN, within a
day: for the owner of a new installation, and for whoever forgot theirs. All sessions of the
member end when it is used. At a server an admin does it for members who are in no other
workspace; for the others, and for the owner, it takes the machine that has the data.`,
		Args: oneArg("a member's address or id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMember(cmd.Context(), args[0], func(ctx context.Context, p people, m mgx.Member) error {
				i, token, err := p.Invite(ctx, client.NewInvitation{User: m.User})
				if err != nil {
					return err
				}
				return c.showOnce(token, map[string]any{"invitation": i, "token": token}, "With this %s can set a password, once, within a day:", m.User)
			})
		},
	}
}

func (c *cli) invitationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invitations",
		Short: "List invitations",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listInvitations) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "revoke ID",
		Short: "Make an invitation worthless",
		Args:  oneArg("an invitation's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				all, err := p.Invitations(ctx)
				if err != nil {
					return err
				}
				i, err := one(all, args[0], "invitation", "mgx members invitations", func(i mgx.Invitation) string { return string(i.ID) })
				if err != nil {
					return err
				}
				if err := p.RevokeInvitation(ctx, i.ID); err != nil {
					return err
				}
				c.tell("Revoked %s.\n", i.ID)
				return nil
			})
		},
	})
	return cmd
}

func (c *cli) listInvitations(ctx context.Context, p people) error {
	all, err := p.Invitations(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	now := time.Now()
	for _, i := range all {
		state := "open"
		switch {
		case !i.AcceptedAt.IsZero():
			state = "used"
		case !i.DeclinedAt.IsZero():
			state = "declined"
		case !i.RevokedAt.IsZero():
			state = "revoked"
		case !now.Before(i.ExpiresAt):
			state = "expired"
		}
		c.printf("%-30s  %-8s  %-10s  %s\n", i.ID, state, i.Role, ui.Text(i.Email))
	}
	return nil
}

func (c *cli) workspacesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workspaces",
		Short: "List, make and rename workspaces, which have members, budgets and events of their own",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listWorkspaces) },
	}
	cmd.AddCommand(c.quotaCommand(), c.workspaceRenameCommand(), &cobra.Command{
		Use:   "create NAME",
		Short: "Make a workspace, whose first admin you are",
		Args:  oneArg("a name for the workspace"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				w, err := p.CreateWorkspace(ctx, args[0])
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, w)
				}
				c.tell("Made workspace %s.\n", ui.Text(w.Name))
				c.printf("%s\n", w.ID)
				return nil
			})
		},
	})
	return cmd
}

func (c *cli) workspaceRenameCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rename WORKSPACE NAME",
		Short: "Give a workspace another name; its id stays",
		Args:  twoArgs("a workspace", "its new name", 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				all, err := p.Workspaces(ctx)
				if err != nil {
					return err
				}
				w, err := one(all, args[0], "workspace", "mgx workspaces", func(w mgx.Workspace) string { return string(w.ID) })
				if err == nil {
					w, err = p.RenameWorkspace(ctx, w.ID, args[1])
				}
				if err != nil {
					return err
				}
				return c.showWorkspaces(w)
			})
		},
	}
}

func (c *cli) listWorkspaces(ctx context.Context, p people) error {
	all, err := p.Workspaces(ctx)
	if err != nil {
		return err
	}
	return c.showWorkspaces(all...)
}

func (c *cli) showWorkspaces(all ...mgx.Workspace) error {
	if c.json {
		return printJSON(c, all...)
	}
	for _, w := range all {
		c.printf("%-29s  %s\n", w.ID, ui.Text(w.Name))
	}
	return nil
}
