package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/ui"
)

func (c *cli) agentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agents",
		Short: "List the roles of the team, and in how many runs each is at work",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withAgents(cmd.Context(), c.listAgents) },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "show ROLE",
		Short: "Show what a role is told and given, and what it was last seen doing",
		Args:  oneArg("a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withAgents(cmd.Context(), func(all []client.Agent) error {
				for _, a := range all {
					if a.Role == args[0] {
						return c.showAgent(a)
					}
				}
				return usage(mgx.CodeNotFound, "the team has no role %q; see: mgx agents", args[0])
			})
		},
	})
	return cmd
}

// withAgents does something with the roles of the team where a command says.
func (c *cli) withAgents(ctx context.Context, f func([]client.Agent) error) error {
	type list func(context.Context) ([]client.Agent, error)
	return reach(ctx, c,
		func(_ context.Context, n *node) (list, error) { return n.agents, nil },
		func(remote *client.Client) list { return remote.Agents },
		func(ctx context.Context, agents list) error {
			all, err := agents(ctx)
			if err != nil {
				return err
			}
			return f(all)
		})
}

// agents are the roles of the team on the data directory.
func (n *node) agents(ctx context.Context) (list []client.Agent, err error) {
	all, err := n.app.Agents(ctx, n.me())
	for _, a := range all {
		one := client.Agent{Role: a.Role, Purpose: a.Purpose, Tools: a.Tools, MaxTurns: a.MaxTurns, Instructions: a.Instructions, Digest: a.Digest, Now: []client.AgentNow{}}
		for _, now := range a.Now {
			one.Now = append(one.Now, client.AgentNow(now))
		}
		list = append(list, one)
	}
	return list, err
}

func (c *cli) listAgents(all []client.Agent) error {
	if c.json {
		return printJSON(c, all...)
	}
	for _, a := range all {
		c.printf("%-14s  %3d at work  %s\n", cell(a.Role), len(a.Now), cell(a.Purpose))
	}
	return nil
}

func (c *cli) showAgent(a client.Agent) error {
	if c.json {
		return printJSON(c, a)
	}
	c.printf("%s: %s\n", cell(a.Role), cell(a.Purpose))
	c.printf("  tools: %s\n", cell(strings.Join(append(a.Tools[:len(a.Tools):len(a.Tools)], "finish"), ", ")))
	c.printf("  turns: at most %d\n", a.MaxTurns)
	c.printf("  instructions: %s\n", cell(a.Digest))
	for _, now := range a.Now {
		c.printf("  now: %s in %s, %s\n", now.What, now.Run, cell(now.Title))
	}
	c.printf("\n%s\n", ui.Text(a.Instructions))
	return nil
}
