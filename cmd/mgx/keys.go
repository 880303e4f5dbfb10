package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/gateway"
	"mgx/internal/ui"
)

func (c *cli) keysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Let other programs call models through mgx serve",
		Long: `Lists the keys with which programs call models through mgx serve, in the dialects of
OpenAI (/v1/chat/completions, /v1/responses) and Anthropic (/v1/messages): with these
settings of a program's SDK,

	OPENAI_BASE_URL=http://127.0.0.1:7780/v1   OPENAI_API_KEY=mgx_…
	ANTHROPIC_BASE_URL=http://127.0.0.1:7780   ANTHROPIC_API_KEY=mgx_…

it reaches every model and policy that mgx models lists, with budgets, routing and a
record of each call.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withKeys(cmd.Context(), c.listKeys) },
	}
	cmd.AddCommand(c.keyCreateCommand(), c.keyRevokeCommand(), &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Args:  noArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.withKeys(cmd.Context(), c.listKeys) },
	})
	return cmd
}

// withKeys opens the data for a command on keys.
func (c *cli) withKeys(ctx context.Context, f func(context.Context, *node) error) error {
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer n.close()
	return f(ctx, n)
}

func (c *cli) listKeys(ctx context.Context, n *node) error {
	all, err := n.store.GatewayKeys(ctx, mgx.DefaultWorkspace)
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
func stateOf(k mgx.GatewayKey, now time.Time) string {
	switch {
	case !k.RevokedAt.IsZero():
		return "revoked"
	case !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt):
		return "expired"
	}
	return "valid"
}

func keyDetails(k mgx.GatewayKey) (lines []string) {
	lines = append(lines, "user: "+string(k.User))
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
	var k mgx.GatewayKey
	var budget, user string
	var expires time.Duration
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a key",
		Long: `Makes a key and prints it. It is shown this once: what is kept is its digest. NAME says
what it is for.`,
		Args: oneArg("a name for the key"),
		RunE: func(cmd *cobra.Command, args []string) error {
			k.Workspace, k.User, k.Name = mgx.DefaultWorkspace, mgx.UserID(user), strings.TrimSpace(args[0])
			if err := checkKey(&k, budget, expires); err != nil {
				return err
			}
			return c.withKeys(cmd.Context(), func(ctx context.Context, n *node) error {
				if k.User == "" {
					k.User = mgx.UserID(n.app.Actor)
				}
				made, secret := gateway.NewKey(k)
				if err := n.store.CreateGatewayKey(ctx, made); err != nil {
					return err
				}
				if c.json {
					return printJSON(c, map[string]string{"id": string(made.ID), "key": secret})
				}
				fmt.Fprintf(c.err, "Made %s. The key, shown only now:\n", made.ID)
				c.printf("%s\n", secret)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&user, "user", "", "`id` of the user on whose behalf it is used (default: you)")
	cmd.Flags().StringArrayVar(&k.Models, "allow", nil, "only this policy or provider/model, or those that a `glob` matches, such as 'openai/*'; may be repeated")
	cmd.Flags().StringVar(&budget, "budget", "", "`USD` that all its calls may cost together")
	cmd.Flags().DurationVar(&expires, "expires", 0, "stop working after this `time`, such as 720h")
	return cmd
}

const maxKeyName = 100

// checkKey completes the settings of a new key or says what is wrong with them.
func checkKey(k *mgx.GatewayKey, budget string, expires time.Duration) error {
	switch {
	case k.Name == "" || len(k.Name) > maxKeyName:
		return usage("bad_name", "a key's name has 1 to %d characters", maxKeyName)
	case expires < 0:
		return usage("bad_expiry", "--expires takes a time from now, such as 720h, not %s", expires)
	case expires > 0:
		k.ExpiresAt = mgx.Now().Add(expires)
	}
	if len(k.Models) > 100 {
		return usage("too_many_models", "--allow may be repeated at most 100 times; use globs")
	}
	for _, pattern := range k.Models {
		if err := gateway.CheckPattern(pattern); err != nil {
			return err
		}
	}
	if budget != "" {
		amount, err := mgx.ParseMoney(budget)
		if err != nil {
			return usage("bad_budget", "--budget: %s", err)
		}
		k.Budget = &amount
	}
	return nil
}

// findKey is the key that a person means: by its id or a part of it.
func (n *node) findKey(ctx context.Context, name string) (mgx.GatewayKey, error) {
	all, err := n.store.GatewayKeys(ctx, mgx.DefaultWorkspace)
	if err != nil {
		return mgx.GatewayKey{}, err
	}
	return one(all, name, "key", "mgx keys", func(k mgx.GatewayKey) string { return string(k.ID) })
}

func (c *cli) keyRevokeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "revoke ID",
		Short: "Make a key worthless for good",
		Long: `Makes a key worthless for good, within seconds also in servers that are running. A part
of its id is enough.`,
		Args: oneArg("a key's id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withKeys(cmd.Context(), func(ctx context.Context, n *node) error {
				k, err := n.findKey(ctx, args[0])
				if err != nil {
					return err
				}
				if err := n.store.RevokeGatewayKey(ctx, mgx.DefaultWorkspace, k.ID); err != nil {
					return err
				}
				fmt.Fprintf(c.err, "Revoked %s.\n", k.ID)
				return nil
			})
		},
	}
}
