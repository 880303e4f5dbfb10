package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/guard/policy"
	"mgx/internal/ui"
)

func (c *cli) policyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy",
		Short: "Show and try the permission policies that decide on tool calls",
		Long: `Lists the built-in permission policies. mgx run --policy takes one of them, or a file
of rules in the same form; docs/policy.md says how it reads. Rules that deny win over
rules that ask, and those over rules that allow; what no rule matches is asked about.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.listPolicies(cmd.Context()) },
	}
	cmd.AddCommand(c.policyShowCommand(), c.policyTestCommand())
	return cmd
}

func (c *cli) listPolicies(ctx context.Context) error {
	all := app.Policies()
	if c.at.server != "" {
		remote, err := c.remote(c.at)
		if err != nil {
			return err
		}
		said, err := remote.Policies().List(ctx)
		if err != nil {
			return err
		}
		all = nil
		for _, p := range said {
			all = append(all, app.BuiltInPolicy(p))
		}
	}
	for _, p := range all {
		if c.json {
			if err := printJSON(c, map[string]any{"name": p.Name, "about": p.About, "text": p.Text, "hash": p.Hash}); err != nil {
				return err
			}
			continue
		}
		c.printf("%-14s%s\n", p.Name, p.About)
	}
	return nil
}

func (c *cli) policyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME|FILE]",
		Short: "Print a policy in the form in which one is written (default: the configured one)",
		Args:  optionalArg("a built-in policy or a file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := c.cfg.Policy
			switch {
			case len(args) == 1:
				name = args[0]
			case c.at.server != "" && !c.cfg.Said("policy"):
				return usage("bad_arguments", "say which policy; those of the server are in: mgx policy%s", c.there())
			}
			p, err := c.shownPolicy(cmd.Context(), name)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, map[string]any{"name": name, "text": p.Text, "rules": p.Rules, "hash": p.Hash})
			}
			fmt.Fprintln(c.out, strings.TrimRight(ui.Text(p.Text), "\n"))
			return nil
		},
	}
}

// shownPolicy is a built-in policy where the command works, or one in a file here.
func (c *cli) shownPolicy(ctx context.Context, name string) (app.BuiltInPolicy, error) {
	if _, known := policy.Text(name); known && c.at.server != "" {
		remote, err := c.remote(c.at)
		if err != nil {
			return app.BuiltInPolicy{}, err
		}
		p, err := remote.Policies().Get(ctx, name)
		return app.BuiltInPolicy(p), err
	}
	text, err := policyText(name)
	if err != nil {
		return app.BuiltInPolicy{}, err
	}
	p, err := policy.Parse(text)
	return app.BuiltInPolicy{Name: name, Text: text, Rules: p.String(), Hash: p.Hash()}, err
}

// policyFor reads the policy of a run on a repository. None in it counts: agents and
// others than the operator write its files.
func (c *cli) policyFor(repo, name string) (*mgx.PolicyInfo, error) {
	if _, builtin := policy.Text(name); !builtin && inside(name, repo) {
		return nil, usage("policy_in_repository", "the policy %s lies in the repository that the run works on, or a link there leads to it, and others than you may write that; keep it somewhere else", name)
	}
	return c.policy(name)
}

// policy reads the policy that a run is started with. It is written into the run's
// settings whole: nothing is looked up again.
func (c *cli) policy(name string) (*mgx.PolicyInfo, error) {
	text, err := policyText(name)
	if err != nil {
		return nil, err
	}
	p, err := policy.Parse(text)
	if err != nil {
		return nil, err
	}
	return &mgx.PolicyInfo{Name: name, Text: p.String(), Hash: p.Hash()}, nil
}

// policyText is the source of a built-in policy or of one in a file.
func policyText(name string) (string, error) {
	if text, ok := policy.Text(name); ok {
		return text, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", noPolicy(name, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, policy.MaxText+1))
	if err != nil {
		return "", noPolicy(name, err)
	}
	return string(text), nil
}

func noPolicy(name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return usage("no_such_policy", "there is no policy %s; name a file, or one of %s", name, strings.Join(policy.Names(), ", "))
	}
	return mgx.Errorf(mgx.KindConfig, "unreadable_policy", "the policy %s cannot be read: %w", name, err)
}
