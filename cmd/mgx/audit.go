package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/event"
	"mgx/internal/ui"
)

// auditKeyFile keeps what checkpoints of the audit logs are signed with. It is not
// in the database and in no backup of it: who can change the log must not be able
// to sign it.
const auditKeyFile = "audit.key"

func (c *cli) auditCommand() *cobra.Command {
	var f auditFlags
	list := func(cmd *cobra.Command, _ []string) error {
		return c.withAudit(cmd.Context(), func(ctx context.Context, l auditLog) error { return c.listAudit(ctx, l, f) })
	}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Who did what and was refused what, and proof that nothing was changed",
		Long: `Lists the audit log: every security-relevant act, with who did it, to what, and whether
it was allowed. An entry is stored in the same transaction as the act itself. The entries
form a Merkle tree, of which signed checkpoints are made; mgx audit verify reads
everything over and finds what was changed, taken away or cut off. See docs/audit.md.`,
		Example: `  mgx audit --action 'key.*' --since 720h
  mgx audit export --format csv > audit.csv
  mgx audit verify --checkpoints /mnt/elsewhere/checkpoints`,
		Args: noArgs,
		RunE: list,
	}
	f.add(cmd)
	cmd.AddCommand(c.auditExportCommand(), c.auditVerifyCommand(), c.auditCheckpointCommand(), c.auditKeyCommand(), c.auditProofCommand(), hereOnly(c.auditCheckCommand()))
	return cmd
}

// auditFlags choose entries.
type auditFlags struct {
	actor, action string
	denied        bool
	since, until  string
}

func (f *auditFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.actor, "actor", "", "only what this `id` did")
	cmd.Flags().StringVar(&f.action, "action", "", "only acts like this `glob`: 'key.*'")
	cmd.Flags().BoolVar(&f.denied, "denied", false, "only what was refused")
	addTimes(cmd.Flags(), &f.since, &f.until, "the beginning")
}

func (c *cli) listAudit(ctx context.Context, l auditLog, f auditFlags) error {
	found := false
	err := f.eachEntry(ctx, l, func(e app.AuditEntry) error {
		found = true
		if c.json {
			return printJSON(c, e)
		}
		c.printf("%6d  %s  %-7s  %-28s  %s  by %s", e.Sequence, e.Time.UTC().Format("2006-01-02 15:04:05Z"), e.Decision, ui.Text(e.Action), ui.Text(e.Resource), ui.Text(e.Actor))
		if e.Reason != "" {
			c.printf(": %s", ui.Text(e.Reason))
		}
		c.printf("\n")
		return nil
	})
	if err == nil && !found && !c.json {
		c.tell("No such entries.\n")
	}
	return err
}

func (c *cli) auditVerifyCommand() *cobra.Command {
	var keys []string
	var second string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Read the audit log over: is it what was signed?",
		Long: `Makes the tree of every workspace's audit log anew from its entries, and holds it against
the stored one and against every checkpoint. Checkpoints count when the key of this data
directory signed them, or one that --key names.

Exit codes: 0 all is as it was signed; 1 something was changed, and standard output says
what; 3 the log cannot be read.

With --server the server reads over the log of the workspace and says what it found. With
--key besides, this machine does not take its word for it: it checks proofs of the first
and the last entry that were signed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if c.at.server != "" {
				return c.verifyThere(cmd, keys)
			}
			return c.withNode(cmd.Context(), func(ctx context.Context, n *node) error { return c.verifyAudit(ctx, n, keys, second) })
		},
	}
	cmd.Flags().StringSliceVar(&keys, "key", nil, "also trust this public `key`")
	cmd.Flags().StringVar(&second, "checkpoints", "", "also hold the logs against the checkpoints in this `file`")
	return cmd
}

func (c *cli) verifyAudit(ctx context.Context, n *node, keys []string, second string) error {
	if own, err := n.auditKey(false); err == nil {
		keys = append(keys, own.Public())
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	trusted, err := audit.Trusted(keys...)
	if err != nil {
		return err
	}
	also, err := readCheckpoints(second)
	if err != nil {
		return err
	}
	contracts, err := event.NewRegistry()
	if err != nil {
		return err
	}
	contract, known := contracts.Type(mgx.AuditRecorded)
	if !known {
		return mgx.Errorf(mgx.KindInternal, "unknown_event_type", "there is no contract of %s", mgx.AuditRecorded)
	}
	all, err := n.store.AuditedWorkspaces(ctx)
	if err != nil {
		return err
	}
	var problems []string
	for _, text := range also {
		state, err := audit.Read(text, trusted)
		switch {
		case err != nil:
			return usage("bad_checkpoint", "%s holds a checkpoint that does not count: %v; name the key that signed it with --key", second, err)
		case !slices.Contains(all, state.Workspace):
			all = append(all, state.Workspace) // of which nothing is left
		}
	}
	for _, ws := range all {
		tries := 0
		r, err := audit.Log{Store: n.store, Workspace: ws}.Verify(ctx, audit.Options{
			Trusted: trusted, Also: also, Keep: contract.Retention, Wait: func() bool { tries++; return tries < 50 && pause(ctx, 100*time.Millisecond) },
		})
		if err != nil {
			return err
		}
		problems = append(problems, r.Problems...)
		c.reportAudit(r)
	}
	if len(all) == 0 {
		fmt.Fprintln(c.err, "Nothing is in the audit log yet.")
	}
	if len(problems) > 0 {
		return auditTampered()
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *cli) reportAudit(r audit.Report) {
	if c.json {
		r.Problems = append([]string{}, r.Problems...)
		printJSON(c, r)
		return
	}
	c.printf("%s: %d entries, %d checkpoints; the first %d entries are as they were signed", r.Workspace, r.Entries, r.Checkpoints, r.Covered)
	if r.Erased > 0 {
		c.printf("; the details of %d were erased, as signed erasures tell", r.Erased)
	}
	if r.ErasedBefore > 0 {
		c.printf("; those of %d are gone since before MGX recorded what is erased, so whether they were erased or taken away cannot be told", r.ErasedBefore)
	}
	if r.Removed > 0 {
		c.printf("; %d were removed because their time was over", r.Removed)
	}
	c.printf("\n")
	for _, p := range r.Problems {
		c.printf("  %s\n", ui.Text(p))
	}
}

func (c *cli) auditCheckpointCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Sign how the audit log stands, and print it",
		Long: `Signs how the audit log stands, unless the last checkpoint says so already, and prints
the last one. mgx serve does it every minute. Keep checkpoints where nobody who can write
to the database can: then a log that was cut off is found.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAudit(cmd.Context(), func(ctx context.Context, l auditLog) error {
				last, err := l.Sign(ctx)
				switch {
				case mgx.IsCode(err, mgx.CodeNotFound):
					c.tell("Nothing is in the audit log yet.\n")
				case err != nil:
					return err
				case c.json:
					return printJSON(c, last)
				default:
					c.printf("%s\n", last.Note)
				}
				return nil
			})
		},
	}
}

func (c *cli) auditKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public key that checkpoints are checked with",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.withAudit(cmd.Context(), func(ctx context.Context, l auditLog) error {
				key, err := l.Key(ctx)
				if err != nil {
					return err
				}
				if c.json {
					return printJSON(c, map[string]string{"key": key})
				}
				c.printf("%s\n", key)
				return nil
			})
		},
	}
}

func (c *cli) auditProofCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "proof SEQUENCE",
		Short: "Prove to others that an entry is in the log, as JSON",
		Args:  oneArg("the number of an entry, see: mgx audit"),
		RunE: func(cmd *cobra.Command, args []string) error {
			seq, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usage("bad_sequence", "an entry is named by its number, such as 12, not %q; see: mgx audit", args[0])
			}
			return c.withAudit(cmd.Context(), func(ctx context.Context, l auditLog) error {
				p, err := l.Prove(ctx, seq)
				if err != nil {
					return err
				}
				return printJSON(c, p)
			})
		},
	}
}
