package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"mgx"
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
		RunE: func(*cobra.Command, []string) error { return c.listPolicies() },
	}
	cmd.AddCommand(c.policyShowCommand(), c.policyTestCommand())
	return cmd
}

func (c *cli) listPolicies() error {
	for _, name := range policy.Names() {
		text, _ := policy.Text(name)
		about := summaryOf(text)
		if c.json {
			p, _ := policy.Builtin(name)
			if err := printJSON(c, map[string]any{"name": name, "about": about, "text": text, "hash": p.Hash()}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(c.out, "%-14s%s\n", name, about)
	}
	return nil
}

// summaryOf is what the comment on top of a policy says, without its name.
func summaryOf(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	_, about, _ := strings.Cut(strings.Join(words, " "), ": ")
	return about
}

func (c *cli) policyShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [NAME|FILE]",
		Short: "Print a policy in the form in which one is written (default: the configured one)",
		Args:  optionalArg("a built-in policy or a file"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := c.cfg.Policy
			if len(args) == 1 {
				name = args[0]
			}
			text, err := policyText(name)
			if err != nil {
				return err
			}
			p, err := policy.Parse(text)
			if err != nil {
				return err
			}
			if c.json {
				return printJSON(c, map[string]any{"name": name, "text": text, "rules": p.String(), "hash": p.Hash()})
			}
			fmt.Fprintln(c.out, strings.TrimRight(ui.Text(text), "\n"))
			return nil
		},
	}
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
