package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/client"
	"mgx/internal/ui"
)

// at is where a command does what it does: at a server, or, without one, on the
// data directory; and in which workspace.
type at struct{ server, token, workspace string }

// atFlags are its flags, which also are variables of the environment.
var atFlags = []string{"server", "token", "workspace"}

func (a *at) flags(f *pflag.FlagSet) {
	f.StringVar(&a.server, "server", "", "at the server at this `URL` instead of the data directory; sign in with: mgx login")
	f.StringVar(&a.token, "token", "", "an API key or `token` for the server (default: that of mgx login, or of the data directory)")
	f.StringVar(&a.workspace, "workspace", "", "`id` of the workspace (default: your only one, or that of mgx login)")
}

// alsoThere marks commands that work at a server too.
const alsoThere = "also at a server"

// anywhere marks commands, with those below them, as ones that work at a server
// too. What is not marked is about this machine.
func anywhere(commands ...*cobra.Command) []*cobra.Command {
	for _, cmd := range commands {
		cmd.Annotations = map[string]string{alsoThere: ""}
	}
	return commands
}

// hereOnly marks a command below such ones as one about this machine after all.
func hereOnly(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{alsoThere: "no"}
	return cmd
}

// asInAWorkspace marks commands about this machine that are kept to what runs of a
// workspace of its data directory are.
const asInAWorkspace = "as in a workspace"

// inAWorkspace marks a command, with those below it, as such a one.
func inAWorkspace(cmd *cobra.Command) *cobra.Command {
	cmd.Annotations = map[string]string{asInAWorkspace: ""}
	return cmd
}

// settlePlace settles where the command works. Who names a server, and a command that
// would not go there, is told; the environment is for the commands that do, and the
// workspace in it is one of the server if it names one.
func (c *cli) settlePlace(cmd *cobra.Command) error {
	refused := atFlags
	for up := cmd; up != nil; up = up.Parent() {
		mark, ok := up.Annotations[alsoThere]
		if mark == "no" {
			break
		}
		if _, here := up.Annotations[asInAWorkspace]; here {
			refused = []string{"server", "token"}
			if c.getenv("MGX_SERVER") == "" {
				c.at.workspace = cmp.Or(c.at.workspace, c.getenv("MGX_WORKSPACE"))
			}
			break
		}
		if ok {
			c.at.server = cmp.Or(c.at.server, c.getenv("MGX_SERVER"))
			c.at.token = cmp.Or(c.at.token, c.getenv("MGX_TOKEN"))
			c.at.workspace = cmp.Or(c.at.workspace, c.getenv("MGX_WORKSPACE"))
			return nil
		}
	}
	for _, name := range refused {
		if f := cmd.Root().PersistentFlags().Lookup(name); f.Changed {
			return usage("not_at_a_server", "%s is about this machine and its data directory; run it at the machine that has the data, without --%s", cmd.CommandPath(), name)
		}
	}
	return nil
}

// onlyHere refuses flags that are about this machine for a command that works at a
// server.
func (c *cli) onlyHere(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if c.at.server != "" && cmd.Flags().Changed(name) {
			return usage("not_at_a_server", "--%s is about this machine, and %s works at %s; leave one of the two out", name, cmd.CommandPath(), c.at.server)
		}
	}
	return nil
}

// reach does something at the server that a command names, else on the data
// directory.
func reach[T any](ctx context.Context, c *cli, here func(context.Context, *node) (T, error), there func(*client.Client) T, do func(context.Context, T) error) (err error) {
	if c.at.server != "" {
		remote, err := c.remote(c.at)
		if err != nil {
			return err
		}
		return do(ctx, there(remote))
	}
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.knowsWorkspace(ctx); err != nil {
		return err
	}
	found, err := here(ctx, n)
	if err != nil {
		return err
	}
	return do(ctx, found)
}

// knowsWorkspace refuses a workspace that the data directory does not have.
func (n *node) knowsWorkspace(ctx context.Context) error {
	if n.workspace == mgx.DefaultWorkspace {
		return nil
	}
	_, err := n.store.Workspace(ctx, n.workspace)
	return err
}

// workspaceHere is the workspace of the data directory that a command is for.
func (c *cli) workspaceHere() mgx.WorkspaceID {
	return cmp.Or(mgx.WorkspaceID(c.at.workspace), mgx.DefaultWorkspace)
}

// printf writes a result, tell what people are told about it. What comes from a
// server, or from an agent, does not control the terminal.
func (c *cli) printf(format string, args ...any) { fmt.Fprintf(c.out, format, harmless(args)...) }

func (c *cli) tell(format string, args ...any) { fmt.Fprintf(c.err, format, harmless(args)...) }

// showOnce prints a secret that is not shown again, as what the API answers or after a
// word on it.
func (c *cli) showOnce(secret string, answer map[string]any, format string, args ...any) error {
	if c.json {
		return printJSON(c, answer)
	}
	c.tell(format+"\n", args...)
	c.printf("%s\n", secret)
	return nil
}

func harmless(args []any) []any {
	list := make([]any, len(args))
	for i, v := range args {
		list[i] = v
		if text := fmt.Sprint(v); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			list[i] = ui.Text(text)
		}
	}
	return list
}
