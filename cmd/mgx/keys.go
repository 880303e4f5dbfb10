package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/gateway"
	"mgx/internal/ui"
)

func (c *cli) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Let other programs use mgx serve: its models, its API",
		Long: `Lists the keys with which programs use mgx serve. A key may do what its scopes say, and no
more than whoever it stands for. The scope models, which keys have unless --scope says
otherwise, is for calling models in the dialects of OpenAI (/v1/chat/completions,
/v1/responses) and Anthropic (/v1/messages): with these settings of a program's SDK,

	OPENAI_BASE_URL=http://127.0.0.1:7780/v1   OPENAI_API_KEY=mgx_…
	ANTHROPIC_BASE_URL=http://127.0.0.1:7780   ANTHROPIC_API_KEY=mgx_…

it reaches every model and policy that mgx models lists, with budgets, routing and a
record of each call. Other scopes are for the API, see docs/access.md.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listKeys) },
	}
	cmd.AddCommand(c.keyCreateCommand(), c.keyRevokeCommand(), c.keyRotateCommand(), &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withPeople(cmd.Context(), c.listKeys) },
	})
	return cmd
}

func (c *cli) listKeys(ctx context.Context, p people) error {
	all, err := p.Keys(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No keys yet. Make one with: mgx keys create NAME")
	}
	now := time.Now()
	for _, k := range all {
		used := "never used"
		if !k.LastUsedAt.IsZero() {
			used = "used " + ui.Ago(k.LastUsedAt, now)
		}
		c.printf("%-30s  %-8s  %-16s  %s\n", k.ID, stateOf(k, now), used, ui.Text(k.Name))
		for _, line := range keyDetails(k) {
			c.printf("  %s\n", ui.Text(line))
		}
	}
	return nil
}

// stateOf is a key's state in a word.
func stateOf(k mgx.APIKey, now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "expired"
	}
	return "valid"
}

func keyDetails(k mgx.APIKey) (lines []string) {
	who := "user: " + string(k.User)
	if k.Role != "" {
		who += ", as " + k.Role
	}
	lines = append(lines, who, "scopes: "+strings.Join(k.Scopes, ", "))
	if len(k.Models) > 0 {
		lines = append(lines, "models: "+strings.Join(k.Models, ", "))
	}
	if k.Budget != nil {
		lines = append(lines, "budget: "+k.Budget.String())
	}
	if !k.ExpiresAt.IsZero() {
		lines = append(lines, "expires: "+k.ExpiresAt.Format(time.DateTime)+" UTC")
	}
	return lines
}

func (c *cli) keyCreateCommand() *cobra.Command {
	var n client.NewKey
	var budget, user string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key",
		Long: `Makes a key and prints it. It is shown this once: what is kept is its digest. NAME says
what it is for. It acts as you, within its scopes: resources such as runs, or resources with
an action such as runs:read, or * for all that you may do.`,
		Args: oneArg("a name for the key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.Name = strings.TrimSpace(args[0])
			if err := checkKey(&n, budget, expires); err != nil {
				return err
			}
			return c.withPeople(cmd.Context(), func(ctx context.Context, p people) error {
				made, secret, err := createKey(ctx, p, n, mgx.UserID(user))
				if err != nil {
					return err
				}
				return c.showOnce(secret, map[string]any{"key": made, "secret": secret}, "Made %s. The key, shown only now:", made.ID)
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "`id` of the user on whose behalf it acts (default: you); only on the data directory, and for somebody who is no member only to call models")
	cmd.Flags().StringArrayVar(&n.Scopes, "scope", nil, "what it may do, a `scope` such as runs:read; may be repeated (default: models)")
	cmd.Flags().BoolVar(&n.Service, "service", false, "it stands for no member, so that it stays when you leave; it can only call models")
	cmd.Flags().StringArrayVar(&n.Models, "allow", nil, "only this policy or provider/model, or those that a `glob` matches, such as 'openai/*'; may be repeated")
	cmd.Flags().StringVar(&budget, "budget", "", "`USD` that all its calls may cost together")
	cmd.Flags().DurationVar(&expires, "expires", 0, "stop working after this `time`, such as 720h")
	return cmd
}

func createKey(ctx context.Context, p people, n client.NewKey, user mgx.UserID) (mgx.APIKey, string, error) {
	if user == "" {
		return p.CreateKey(ctx, n)
	}
	owner, ok := p.(*ownData)
	if !ok {
		return mgx.APIKey{}, "", usage("not_at_a_server", "--user is for the owner of the data directory; at a server a key acts as whoever makes it")
	}
	return owner.CreateKeyFor(ctx, n, user)
}

const maxKeyName = 100

// checkKey completes the settings of a new key or says what is wrong with them.
func checkKey(n *client.NewKey, budget string, expires time.Duration) error {
	switch {
	case n.Name == "" || len(n.Name) > maxKeyName:
		return usage("bad_name", "a key's name has 1 to %d characters", maxKeyName)
	case expires < 0 || expires > 0 && expires < time.Second:
		return usage("bad_expiry", "--expires takes a time from now, such as 720h, not %s", expires)
	case expires > 0:
		n.Expires = int64(expires / time.Second)
	}
	if len(n.Scopes) == 0 {
		n.Scopes = []string{"models"}
	}
	if len(n.Models) > 100 {
		return usage("too_many_models", "--allow may be repeated at most 100 times; use globs")
	}
	for _, pattern := range n.Models {
		if err := gateway.CheckPattern(pattern); err != nil {
			return err
		}
	}
	if budget != "" {
		amount, err := mgx.ParseMoney(budget)
		if err != nil {
			return usage("bad_budget", "--budget: %s", err)
		}
		n.Budget = &amount
	}
	return nil
}

// findKey is the key that a person means: by its id or a part of it.
func findKey(ctx context.Context, p people, name string) (mgx.APIKey, error) {
	all, err := p.Keys(ctx)
	if err != nil {
		return mgx.APIKey{}, err
	}
	return oneKey(all, name)
}

func oneKey(all []mgx.APIKey, name string) (mgx.APIKey, error) {
	return one(all, name, "key", "mgx keys", func(k mgx.APIKey) string { return string(k.ID) })
}

// withKey does something with the key that somebody means.
func (c *cli) withKey(ctx context.Context, name string, f func(context.Context, people, mgx.APIKey) error) error {
	return c.withPeople(ctx, func(ctx context.Context, p people) error {
		k, err := findKey(ctx, p, name)
		if err != nil {
			return err
		}
		return f(ctx, p, k)
	})
}

func (c *cli) keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a key worthless for good",
		Long: `Makes a key worthless for good, within seconds also in servers that are running. A part
of its id is enough.`,
		Args: oneArg("a key's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withKey(cmd.Context(), args[0], func(ctx context.Context, p people, k mgx.APIKey) error {
				if err := p.RevokeKey(ctx, k.ID); err != nil {
					return err
				}
				c.tell("Revoked %s.\n", k.ID)
				return nil
			})
		},
	}
}

func (c *cli) keyRotateCommand() *cobra.Command {
	var overlap time.Duration
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Give a key a new secret",
		Long: `Gives a key a new secret and prints it, this once. The one before stops working, at once or
after --overlap.`,
		Args: oneArg("a key's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withKey(cmd.Context(), args[0], func(ctx context.Context, p people, k mgx.APIKey) error {
				secret, err := p.RotateKey(ctx, k.ID, overlap)
				if err != nil {
					return err
				}
				return c.showOnce(secret, map[string]any{"secret": secret}, "Rotated %s. The key, shown only now:", k.ID)
			})
		},
	}
	cmd.Flags().DurationVar(&overlap, "overlap", 0, "let the one before work for this `time`, at most 168h")
	return cmd
}
