package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/ui"
)

func (c *cli) rolesCommand() *cobra.Command {
	list := func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listRoles) }
	cmd := &cobra.Command{
		Use:   "roles",
		Short: "Make roles of a workspace's own, beside admin, developer, viewer and auditor",
		Long: `Lists the roles that the members of a workspace can have. Those that are built in stay as
they are; a workspace makes others, each with a policy in Cedar that says what its members
may do. docs/access.md says how one reads. A role that somebody has cannot be deleted.`,
		Example: `  mgx roles create builder --rules builder.cedar --description "works on runs"
  mgx members role jo@example.com builder`,
		Args: noArgs,
		RunE: list,
	}
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "The same as mgx roles", Args: noArgs, RunE: list},
		c.roleShowCommand(), c.roleCreateCommand(), c.roleChangeCommand(), c.roleDeleteCommand(),
	)
	return cmd
}

func (c *cli) listRoles(ctx context.Context, p people) error {
	all, err := p.Roles(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	for _, r := range all {
		whose := "own"
		if r.BuiltIn {
			whose = "built in"
		}
		c.printf("%-20s  %-8s  %s\n", r.Name, whose, ui.Text(r.Description))
	}
	return nil
}

func (c *cli) noRole(name string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "the workspace has no role %q; they are in: mgx roles%s", name, c.there())
}

func (c *cli) roleShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show ROLE",
		Short: "Print the policy of a role",
		Args:  oneArg("the name of a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				r, err := oneRole(ctx, p, args[0])
				switch {
				case mgx.IsCode(err, mgx.CodeNotFound):
					return c.noRole(args[0])
				case err != nil:
					return err
				case c.json:
					return printJSON(c, r)
				case r.BuiltIn:
					c.printf("%s is built in: %s. docs/access.md says what each may do.\n", r.Name, r.Description)
				default:
					fmt.Fprintln(c.out, strings.TrimRight(ui.Text(r.Policy), "\n"))
				}
				return nil
			})
		},
	}
}

// roleFlags say what a role is for, and what it may do.
type roleFlags struct{ rules, description string }

func (f *roleFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.rules, "rules", "", "`file` with the policy, - for standard input")
	cmd.Flags().StringVar(&f.description, "description", "", "what it is for, in a `line`")
}

func (c *cli) roleCreateCommand() *cobra.Command {
	var f roleFlags
	cmd := &cobra.Command{
		Use:   "create ROLE --rules FILE",
		Short: "Make a role",
		Args:  oneArg("the name of a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.rules == "" {
				return usage("bad_policy", "say what the role may do, with --rules FILE; docs/access.md says how a policy reads")
			}
			policy, err := c.cedar(f.rules)
			if err != nil {
				return err
			}
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				all, err := p.Roles(ctx)
				if err != nil {
					return err
				}
				if slices.ContainsFunc(all, func(r mgx.Role) bool { return r.Name == args[0] && !r.BuiltIn }) {
					return usage(mgx.CodeConflict, "the workspace has the role %s already; to change it: mgx roles change %s%s", args[0], args[0], c.there())
				}
				kept, err := p.PutRole(ctx, mgx.Role{Name: args[0], Description: f.description, Policy: policy})
				if err != nil {
					return err
				}
				return c.tellRole(kept, "made")
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (c *cli) roleChangeCommand() *cobra.Command {
	var f roleFlags
	cmd := &cobra.Command{
		Use:   "change ROLE",
		Short: "Give a role another policy or description",
		Long:  "Gives a role another policy or description. What is not said stays. It holds from then on for\nwhoever has the role.",
		Args:  oneArg("the name of a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			flags := cmd.Flags()
			if !flags.Changed("rules") && !flags.Changed("description") {
				return usage("bad_arguments", "say what to change, with --rules or --description")
			}
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				kept, err := p.EditRole(ctx, args[0], func(r *mgx.Role) (err error) {
					if flags.Changed("description") {
						r.Description = f.description
					}
					if flags.Changed("rules") {
						r.Policy, err = c.cedar(f.rules)
					}
					return err
				})
				switch {
				case mgx.IsCode(err, mgx.CodeNotFound):
					return c.noRole(args[0])
				case mgx.IsCode(err, mgx.CodeChanged):
					return usage(mgx.CodeChanged, "somebody else changed the role %s meanwhile, so it is as they left it; look at it with mgx roles show %s%s, and change it again", args[0], args[0], c.there())
				case err != nil:
					return err
				}
				return c.tellRole(kept, "changed")
			})
		},
	}
	f.add(cmd)
	return cmd
}

func (c *cli) tellRole(r mgx.Role, done string) error {
	if c.json {
		return printJSON(c, r)
	}
	c.tell("The role %s is %s.\n", r.Name, done)
	return nil
}

func (c *cli) roleDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ROLE",
		Short: "Delete a role that nobody has",
		Args:  oneArg("the name of a role"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				if err := p.RemoveRole(ctx, args[0]); err != nil {
					return err
				}
				c.tell("The role %s is deleted.\n", args[0])
				return nil
			})
		},
	}
}

// maxPolicyFile bounds what is read of a file with a policy; a role takes less.
const maxPolicyFile = 1 << 20

// cedar reads a policy of a role.
func (c *cli) cedar(name string) (string, error) {
	in := c.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", usage("unreadable_policy", "the policy cannot be read: %s", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxPolicyFile))
	if err != nil {
		return "", usage("unreadable_policy", "the policy cannot be read: %s", err)
	}
	return string(text), nil
}
