package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mgx"
	"mgx/client"
	"mgx/internal/config"
	"mgx/internal/store"
	"mgx/internal/ui"
	"mgx/internal/webhook"
)

// webhooks are the endpoints of this node's workspace.
func (n *node) webhooks(cfg *config.Config) *webhook.Endpoints {
	return &webhook.Endpoints{By: n.doer(), Store: n.store, Guard: webhook.Guard{Allow: cfg.WebhookAllow}}
}

// deliverer is what sends to them.
func (n *node) deliverer(cfg *config.Config) *webhook.Deliverer {
	return webhook.New(webhook.Options{Store: n.store, Guard: webhook.Guard{Allow: cfg.WebhookAllow}, Log: n.log, Owner: n.owner.id, Alive: n.aliveHere(cfg)})
}

// aliveHere tells whether the owner of a lease is alive, where all owners are of
// this data directory; nil elsewhere, where only time tells.
func (n *node) aliveHere(cfg *config.Config) func(string) bool {
	if store.IsPostgres(cfg.Database) {
		return nil
	}
	return n.owner.alive
}

func addWebhookAllow(flags *pflag.FlagSet) {
	flags.String("webhook-allow", "", "`ranges` of addresses that webhooks may reach although they are not public, such as 10.1.0.0/16")
}

func (c *cli) webhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Send events to addresses outside",
		Long: `Lists the addresses that events are sent to. mgx serve sends them: signed as Standard
Webhooks describes, each event at least once, in order within a run or task, again and
again for about two days when it fails, and then kept as a dead letter.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.withWebhooks(cmd, c.listWebhooks) },
	}
	addWebhookAllow(cmd.PersistentFlags())
	cmd.AddCommand(
		c.webhookAddCommand(), c.webhookChangeCommand(), c.webhookRotateCommand(), c.webhookEnableCommand(),
		c.webhookCommand("disable ID", "Stop sending; the log keeps what happens meanwhile", "Disabled %s.", hooks.Disable),
		c.webhookCommand("remove ID", "Forget an address, with its secrets and deliveries", "Removed %s.", hooks.Remove),
		c.deliveriesCommand(), c.webhookRetryCommand(), c.webhookTestCommand(),
	)
	return cmd
}

// hooks is what commands do with webhooks, where they work. For *webhook.Endpoints
// that is said.
type hooks interface {
	Add(ctx context.Context, n webhook.NewEndpoint) (w mgx.Webhook, secret string, err error)
	List(ctx context.Context) ([]mgx.Webhook, error)
	Update(ctx context.Context, id mgx.WebhookID, change webhook.Change) (mgx.Webhook, error)
	Enable(ctx context.Context, id mgx.WebhookID, skip bool) error
	Disable(ctx context.Context, id mgx.WebhookID) error
	Remove(ctx context.Context, id mgx.WebhookID) error
	Rotate(ctx context.Context, id mgx.WebhookID, revoke bool) (secret string, err error)
	Test(ctx context.Context, id mgx.WebhookID) (mgx.WebhookAttempt, error)
	Deliveries(ctx context.Context, q mgx.DeliveryQuery) ([]mgx.WebhookDelivery, error)
	Attempts(ctx context.Context, id mgx.WebhookID, e mgx.EventID) ([]mgx.WebhookAttempt, error)
	Retry(ctx context.Context, id mgx.WebhookID, e mgx.EventID) error
	RetryDead(ctx context.Context, id mgx.WebhookID) (int64, error)
}

// theirHooks are those of a workspace at a server.
type theirHooks struct{ client.Webhooks }

func (h theirHooks) Add(ctx context.Context, n webhook.NewEndpoint) (mgx.Webhook, string, error) {
	return h.Webhooks.Add(ctx, client.NewWebhook(n))
}

func (h theirHooks) Update(ctx context.Context, id mgx.WebhookID, change webhook.Change) (mgx.Webhook, error) {
	return h.Webhooks.Update(ctx, id, client.WebhookChange(change))
}

// withWebhooks does something with webhooks where a command says.
func (c *cli) withWebhooks(cmd *cobra.Command, f func(context.Context, hooks) error) error {
	if err := c.onlyHere(cmd, "webhook-allow"); err != nil {
		return err
	}
	return reach(cmd.Context(), c,
		func(_ context.Context, n *node) (hooks, error) { return n.webhooks(c.cfg), nil },
		func(remote *client.Client) hooks { return theirHooks{remote.Webhooks()} }, f)
}

// withWebhook also finds the endpoint that a person means by a whole id or a
// part of it.
func (c *cli) withWebhook(cmd *cobra.Command, name string, f func(context.Context, hooks, mgx.Webhook) error) error {
	return c.withWebhooks(cmd, func(ctx context.Context, h hooks) error {
		all, err := h.List(ctx)
		if err != nil {
			return err
		}
		w, err := one(all, name, "webhook", "mgx webhooks", func(w mgx.Webhook) string { return string(w.ID) })
		if err != nil {
			return err
		}
		return f(ctx, h, w)
	})
}

// one finds what a person means by a whole id or a part of it.
func one[T any](all []T, name, what, where string, id func(T) string) (found T, err error) {
	matches := 0
	for _, v := range all {
		if id(v) == name {
			return v, nil
		}
		if name != "" && strings.Contains(strings.ToLower(id(v)), strings.ToLower(name)) {
			found = v
			matches++
		}
	}
	switch {
	case matches == 0:
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no %s %s; see: %s", what, name, where)
	case matches > 1:
		err = usage("ambiguous", "%q fits %d of the ids; give more of the one you mean; see: %s", name, matches, where)
	}
	return found, err
}

func (c *cli) listWebhooks(ctx context.Context, h hooks) error {
	all, err := h.List(ctx)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "No webhooks yet. Add one with: mgx webhooks add https://…")
	}
	for _, w := range all {
		c.printf("%-30s  %-8s  %d pending, %d dead  %s\n", w.ID, health(w), w.Pending, w.Dead, ui.Text(w.URL))
		for _, line := range details(w) {
			c.printf("  %s\n", ui.Text(line))
		}
	}
	return nil
}

// health is an endpoint's state in a word.
func health(w mgx.Webhook) string {
	switch {
	case !w.Enabled:
		return "disabled"
	case !w.FailingSince.IsZero():
		return "failing"
	}
	return "ok"
}

func details(w mgx.Webhook) (lines []string) {
	if w.Description != "" {
		lines = append(lines, w.Description)
	}
	if len(w.Types) > 0 {
		lines = append(lines, "types: "+strings.Join(w.Types, ", "))
	}
	if len(w.Channels) > 0 {
		lines = append(lines, "channels: "+strings.Join(w.Channels, ", "))
	}
	if !w.Enabled {
		lines = append(lines, "disabled: "+w.DisabledWhy)
	} else if !w.FailingSince.IsZero() {
		lines = append(lines, "failing since "+ui.Ago(w.FailingSince, time.Now()))
	}
	return lines
}

func (c *cli) webhookAddCommand() *cobra.Command {
	var n webhook.NewEndpoint
	var since int64
	cmd := &cobra.Command{
		Use:   "add URL",
		Short: "Send events to an address from now on",
		Long: `Adds an address and prints the secret that its messages are signed with. The secret is
shown this once. Only https and only public addresses are taken; whoever runs the server
may allow others with --webhook-allow.`,
		Args: oneArg("an address"),
		RunE: func(cmd *cobra.Command, args []string) error {
			n.URL = args[0]
			if cmd.Flags().Changed("since") {
				n.Since = &since
			}
			return c.withWebhooks(cmd, func(ctx context.Context, h hooks) error {
				w, secret, err := h.Add(ctx, n)
				if err != nil {
					return err
				}
				return c.showOnce(secret, map[string]any{"webhook": w, "secret": secret}, "Added %s. Its secret, shown only now:", w.ID)
			})
		},
	}
	addSelection(cmd.Flags(), &n.Types, &n.Channels, &n.Description)
	cmd.Flags().Int64Var(&since, "since", 0, "also the events after this `position` of the log")
	return cmd
}

func (c *cli) webhookChangeCommand() *cobra.Command {
	var url, description string
	var types, channels []string
	cmd := &cobra.Command{
		Use:   "change ID",
		Short: "Change what is sent to an address, or the address",
		Long: `Changes what is sent to an address from now on, or the address; what is not said stays. The types,
or the channels, that are named take the place of those before; '' alone is for all of them.`,
		Example: `  mgx webhooks change 7Q2K --type 'run.*' --type 'task.*'
  mgx webhooks change 7Q2K --type ''`,
		Args: oneArg("a webhook"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var change webhook.Change
			for name, set := range map[string]func(){
				"url":         func() { change.URL = &url },
				"description": func() { change.Description = &description },
				"type":        func() { change.Types = filled(types) },
				"channel":     func() { change.Channels = filled(channels) },
			} {
				if cmd.Flags().Changed(name) {
					set()
				}
			}
			if change == (webhook.Change{}) {
				return usage("bad_arguments", "say what to change, with --url, --description, --type or --channel")
			}
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				w, err := h.Update(ctx, w.ID, change)
				switch {
				case err != nil:
					return err
				case c.json:
					return printJSON(c, w)
				}
				c.tell("Changed %s.\n", w.ID)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&url, "url", "", "the `address`")
	addSelection(cmd.Flags(), &types, &channels, &description)
	return cmd
}

// addSelection adds the flags that say what is sent to an address.
func addSelection(flags *pflag.FlagSet, types, channels *[]string, description *string) {
	flags.StringArrayVar(types, "type", nil, "only events of types that match this `glob`, such as 'task.*'; may be repeated")
	flags.StringArrayVar(channels, "channel", nil, "only events of this `channel`, such as project:ID; may be repeated")
	flags.StringVar(description, "description", "", "what it is for, in `words`")
}

// filled is a list without what is empty.
func filled(all []string) *[]string {
	rest := slices.DeleteFunc(all, func(s string) bool { return s == "" })
	return &rest
}

func (c *cli) webhookRotateCommand() *cobra.Command {
	var revoke bool
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a new secret; the old one goes on signing for 24 hours",
		Args:  oneArg("a webhook"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				secret, err := h.Rotate(ctx, w.ID, revoke)
				if err != nil {
					return err
				}
				old := "the old one signs beside it for 24 hours"
				if revoke {
					old = "the old one is revoked"
				}
				return c.showOnce(secret, map[string]any{"secret": secret}, "The new secret of %s, shown only now; %s:", w.ID, old)
			})
		},
	}
	cmd.Flags().BoolVar(&revoke, "revoke", false, "the old secret has leaked: sign with the new one only, at once")
	return cmd
}

// webhookCommand is a command that does one thing to one endpoint.
func (c *cli) webhookCommand(use, short, said string, do func(hooks, context.Context, mgx.WebhookID) error) *cobra.Command {
	return &cobra.Command{
		Use:   use,
		Short: short,
		Args:  oneArg("a webhook"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				err := do(h, ctx, w.ID)
				if err == nil {
					c.tell(said+"\n", w.ID)
				}
				return err
			})
		},
	}
}

func (c *cli) webhookEnableCommand() *cobra.Command {
	var skip bool
	cmd := c.webhookCommand("enable ID", "Send again, beginning where it stopped", "Enabled %s.",
		func(h hooks, ctx context.Context, id mgx.WebhookID) error {
			return h.Enable(ctx, id, skip)
		})
	cmd.Flags().BoolVar(&skip, "skip", false, "leave out what happened meanwhile")
	return cmd
}

func (c *cli) deliveriesCommand() *cobra.Command {
	q := mgx.DeliveryQuery{}
	var statuses []string
	cmd := &cobra.Command{
		Use:   "deliveries ID [DELIVERY]",
		Short: "What was sent, and what came of it; with DELIVERY every attempt",
		Args:  twoArgs("a webhook", "a delivery", 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if q.Statuses, err = knownStatuses(statuses, mgx.DeliveryStatuses); err != nil {
				return err
			}
			if q.Limit < 1 || q.Limit > store.MaxListed {
				return usage("bad_limit", "--limit takes 1 to %d, not %d", store.MaxListed, q.Limit)
			}
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				if q.Webhook = w.ID; len(args) == 1 {
					return c.listDeliveries(ctx, h, q)
				}
				return c.listAttempts(ctx, h, w.ID, args[1])
			})
		},
	}
	addStatuses(cmd.Flags(), &statuses, mgx.DeliveryStatuses)
	cmd.Flags().BoolVar(&q.Failed, "failed", false, "only those whose last attempt failed, dead letters among them")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most `N`, the newest first")
	return cmd
}

func (c *cli) listDeliveries(ctx context.Context, h hooks, q mgx.DeliveryQuery) error {
	all, err := h.Deliveries(ctx, q)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("No deliveries.\n")
	}
	now := time.Now()
	for _, d := range all {
		next := ""
		if d.Status == mgx.DeliveryPending && d.NextAt.After(now) {
			next = "; next in " + ui.Duration(d.NextAt.Sub(now))
		}
		c.printf("%s  %-9s  %d× %-28s  %-12s %s%s\n", d.Event, d.Status, d.Attempts, ui.Text(string(d.Type)), ui.Ago(d.UpdatedAt, now), ui.Text(d.LastError), next)
	}
	return nil
}

func (c *cli) listAttempts(ctx context.Context, h hooks, id mgx.WebhookID, name string) error {
	d, err := findDelivery(ctx, h, id, name)
	if err != nil {
		return err
	}
	all, err := h.Attempts(ctx, id, d.Event)
	if err != nil {
		return err
	}
	if c.json {
		return printJSON(c, all...)
	}
	if len(all) == 0 {
		c.tell("Nobody has tried to send it yet.\n")
	}
	for _, a := range all {
		c.printf("%s UTC  %s\n", a.At.UTC().Format(time.DateTime), outcome(a))
		if a.Response != "" {
			c.printf("  %s\n", ui.Text(a.Response))
		}
	}
	return nil
}

func findDelivery(ctx context.Context, h hooks, id mgx.WebhookID, name string) (mgx.WebhookDelivery, error) {
	all, err := h.Deliveries(ctx, mgx.DeliveryQuery{Webhook: id})
	if err != nil {
		return mgx.WebhookDelivery{}, err
	}
	return one(all, name, "delivery", "mgx webhooks deliveries "+string(id), func(d mgx.WebhookDelivery) string { return string(d.Event) })
}

// outcome is an attempt in words.
func outcome(a mgx.WebhookAttempt) string {
	took := ui.Duration(a.Duration)
	if a.Error != "" {
		return fmt.Sprintf("failed after %s: %s", took, ui.Text(a.Error))
	}
	return fmt.Sprintf("%d after %s", a.Status, took)
}

func (c *cli) webhookRetryCommand() *cobra.Command {
	var dead bool
	cmd := &cobra.Command{
		Use:   "retry ID DELIVERY | --dead",
		Short: "Send a dead letter, or all of them, again",
		Args:  twoArgs("a webhook", "a delivery", 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dead == (len(args) == 2) {
				return usage("bad_arguments", "%s takes either a delivery or --dead", cmd.CommandPath())
			}
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				return c.retry(ctx, h, w.ID, args[1:])
			})
		},
	}
	cmd.Flags().BoolVar(&dead, "dead", false, "every dead letter")
	return cmd
}

func (c *cli) retry(ctx context.Context, h hooks, id mgx.WebhookID, names []string) error {
	if len(names) == 0 {
		n, err := h.RetryDead(ctx, id)
		if err == nil {
			c.tell("%d dead letters will be sent again.\n", n)
		}
		return err
	}
	d, err := findDelivery(ctx, h, id, names[0])
	if err != nil {
		return err
	}
	if err = h.Retry(ctx, id, d.Event); err == nil {
		c.tell("%s will be sent again.\n", d.Event)
	}
	return err
}

func (c *cli) webhookTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test ID",
		Short: "Send a test message now",
		Args:  oneArg("a webhook"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withWebhook(cmd, args[0], func(ctx context.Context, h hooks, w mgx.Webhook) error {
				a, err := h.Test(ctx, w.ID)
				if err != nil {
					return err
				}
				if c.json {
					err = printJSON(c, a)
				} else {
					c.printf("%s\n", outcome(a))
				}
				if err == nil && a.Error != "" {
					err = &saidError{mgx.Errorf(mgx.KindGoal, "webhook_failed", "%s", a.Error)}
				}
				return err
			})
		},
	}
}

// twoArgs takes two arguments of which the first few are needed.
func twoArgs(first, second string, least int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= 2 {
			return nil
		}
		return usage("bad_arguments", "%s takes %s and %s; got %d arguments", cmd.CommandPath(), first, second, len(args))
	}
}
