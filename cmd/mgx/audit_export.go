package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/ui"
)

func (c *cli) auditExportCommand() *cobra.Command {
	var f auditFlags
	var format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the audit log to standard output, as JSON lines or CSV",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "json" && format != "csv" {
				return usage("bad_format", "--format takes json or csv, not %q", format)
			}
			return c.withAudit(cmd.Context(), func(ctx context.Context, l auditLog) error {
				if format == "csv" {
					return c.auditCSV(ctx, l, f)
				}
				return f.eachEntry(ctx, l, func(e app.AuditEntry) error { return printJSON(c, e) })
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&format, "format", "json", "`form` of the lines: json or csv")
	return cmd
}

func (c *cli) auditCSV(ctx context.Context, l auditLog, f auditFlags) error {
	w := csv.NewWriter(c.out)
	w.Write(app.AuditColumns)
	err := f.eachEntry(ctx, l, func(e app.AuditEntry) error {
		row := e.Row()
		for i, field := range row {
			row[i] = ui.Text(field)
		}
		return w.Write(row)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

func (c *cli) auditCheckCommand() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a proof that mgx audit proof made, by a public key alone",
		Args:  oneArg("the file with the proof"),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(keys) == 0 {
				return usage("no_key", "say whose checkpoints count: --key KEY, as mgx audit key prints it there")
			}
			trusted, err := audit.Trusted(keys...)
			if err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return usage("no_file", "the proof cannot be read: %v", err)
			}
			var p audit.Proof
			if err := json.Unmarshal(text, &p); err != nil {
				return usage("bad_proof", "%s does not hold a proof: %v", args[0], err)
			}
			state, err := p.Check(trusted)
			if err != nil {
				return mgx.Errorf(mgx.KindGoal, "proof_refused", "this proves nothing: %v", err)
			}
			fmt.Fprintf(c.out, "Entry %d is in the audit log of %s, as %s signed it on %s.\n", p.Index+1, state.Workspace, state.Key, state.Time.Format(time.RFC3339))
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&keys, "key", nil, "trust this public `key`")
	return cmd
}
