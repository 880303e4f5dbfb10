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

func (c *cli) sessionsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sessions --server URL",
		Short: "List where you are signed in at a server, and end what should not be",
		Long: `Lists your own sessions at a server, in browsers and of commands, with the address from which
each began and when it was last used. The one of these commands is marked: mgx logout ends it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withMine(cmd, c.listSessions) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "end ID",
		Short: "End one of your sessions; a part of its id is enough",
		Args:  oneArg("a session's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withMine(cmd, func(ctx context.Context, remote *client.Client) error {
				all, err := remote.Sessions(ctx)
				if err != nil {
					return err
				}
				s, err := one(all, args[0], "session", "mgx sessions", func(s mgx.Session) string { return string(s.ID) })
				if err == nil {
					err = remote.EndSession(ctx, s.ID)
				}
				if err != nil {
					return err
				}
				c.tell("Ended %s.\n", s.ID)
				if s.Current {
					c.tell("It was that of these commands; sign in again with: mgx login\n")
				}
				return nil
			})
		},
	})
	return cmd
}

func (c *cli) listSessions(ctx context.Context, remote *client.Client) error {
	all, err := remote.Sessions(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	now := time.Now()
	for _, s := range all {
		state := s.Kind
		if s.Current {
			state = "this one"
		}
		c.printf("%-30s  %-8s  used %-14s  %s  %s\n", s.ID, cell(state), ui.Ago(s.LastUsedAt, now), cell(s.Address), cell(s.Agent))
	}
	return nil
}

func (c *cli) passwordCommand() *cobra.Command {
	var stdin bool
	cmd := &cobra.Command{
		Use:   "password --server URL",
		Short: "Change your own password at a server, which ends your other sessions",
		Long: `Changes the password with which you sign in at a server: asks for the one you have and for the
new one, twice. With --password-stdin it reads both, each a line. All your other sessions end.
Who forgot theirs gets another from: mgx members reset.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withMine(cmd, func(ctx context.Context, remote *client.Client) error {
				old, fresh, err := c.passwords(stdin)
				if err == nil {
					err = remote.ChangePassword(ctx, old, fresh)
				}
				if err == nil {
					fmt.Fprintln(c.err, "Changed your password; your other sessions have ended.")
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&stdin, "password-stdin", false, "read the password you have, and then the new one, from stdin")
	return cmd
}

// passwords are the one that somebody has and the one they want.
func (c *cli) passwords(stdin bool) (old, fresh string, err error) {
	if stdin {
		return c.twoLines()
	}
	if old, err = c.askPassword("Current password: ", "use --password-stdin"); err != nil {
		return "", "", err
	}
	again := ""
	if fresh, err = c.askPassword("New password: ", ""); err == nil {
		again, err = c.askPassword("The new one again: ", "")
	}
	if err == nil && again != fresh {
		err = usage("passwords_differ", "the new password and its repetition differ; nothing was changed")
	}
	return old, fresh, err
}
