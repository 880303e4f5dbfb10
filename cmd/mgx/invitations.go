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

// invitationsToMe are the invitations that wait for whoever signed in at a server;
// those that a workspace made are below mgx members.
func (c *cli) invitationsToMe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "invitations --server URL",
		Short: "List the invitations that wait for you at a server, to accept or decline",
		Long: `Lists the invitations of workspaces to your address, at a server where you signed in. You are a
member when you accept one, and not before. Who has a token of an invitation takes it with
mgx login --invitation; what your own workspace made is listed by mgx members invitations.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withMine(cmd, c.listMine) },
	}
	decide := func(use, short string, do func(context.Context, *client.Client, mgx.WaitingInvitation) error) {
		cmd.AddCommand(&cobra.Command{
			Use: use + " ID", Short: short, Args: oneArg("an invitation's id"),
			RunE: func(cmd *cobra.Command, args []string) error {
				return c.withMine(cmd, func(ctx context.Context, remote *client.Client) error {
					all, err := remote.MyInvitations(ctx)
					if err != nil {
						return err
					}
					i, err := one(all, args[0], "invitation", "mgx invitations", func(i mgx.WaitingInvitation) string { return string(i.ID) })
					if err != nil {
						return err
					}
					return do(ctx, remote, i)
				})
			},
		})
	}
	decide("accept", "Become a member, as an invitation says", func(ctx context.Context, remote *client.Client, i mgx.WaitingInvitation) error {
		m, err := remote.AcceptMine(ctx, i.ID)
		if err != nil {
			return err
		}
		c.tell("You are %s in %s now; name it with --workspace %s.\n", m.Role, ui.Text(i.WorkspaceName), m.Workspace)
		return nil
	})
	decide("decline", "End an invitation", func(ctx context.Context, remote *client.Client, i mgx.WaitingInvitation) error {
		if err := remote.DeclineMine(ctx, i.ID); err != nil {
			return err
		}
		c.tell("Declined %s.\n", i.ID)
		return nil
	})
	return cmd
}

// withMine does something at the server that a command names, as whoever signed in.
func (c *cli) withMine(cmd *cobra.Command, do func(context.Context, *client.Client) error) error {
	if c.at.server == "" {
		return usage("no_server", "%s is about you at a server, and on the data directory there is only its owner; say at which server, for example: %[1]s --server https://mgx.example.com", cmd.CommandPath())
	}
	remote, err := c.remote(c.at)
	if err != nil {
		return err
	}
	return do(cmd.Context(), remote)
}

func (c *cli) listMine(ctx context.Context, remote *client.Client) error {
	all, err := remote.MyInvitations(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No invitation waits for you.")
	}
	for _, i := range all {
		c.printf("%-30s  %-10s  %s  %s UTC\n", i.ID, i.Role, ui.Text(i.WorkspaceName), i.ExpiresAt.UTC().Format(time.DateTime))
	}
	return nil
}
