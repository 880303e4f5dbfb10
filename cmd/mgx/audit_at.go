package main

import (
	"context"
	"encoding/json"
	"path"
	"time"

	"github.com/spf13/cobra"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/audit"
)

// auditLog is what commands do with the audit log of a workspace, where they work.
type auditLog interface {
	Each(ctx context.Context, f app.AuditFilter, do func(app.AuditEntry) error) error
	// Sign signs how the log stands, unless the last checkpoint says so, and returns
	// the last (CodeNotFound).
	Sign(ctx context.Context) (mgx.AuditCheckpoint, error)
	Key(ctx context.Context) (string, error)
	Prove(ctx context.Context, sequence int64) (audit.Proof, error)
}

// eachEntry calls back for the entries that the flags choose, in order.
func (f auditFlags) eachEntry(ctx context.Context, l auditLog, do func(app.AuditEntry) error) error {
	if _, err := path.Match(f.action, ""); err != nil {
		return usage("bad_glob", "--action takes a pattern such as 'key.*', not %q", f.action)
	}
	chosen := app.AuditFilter{Actor: f.actor, Action: f.action, Denied: f.denied}
	var err error
	if chosen.Since, chosen.Until, err = parseTimes(f.since, f.until, time.Time{}, time.Now()); err != nil {
		return err
	}
	return l.Each(ctx, chosen, do)
}

// withAudit does something with the audit log where a command says.
func (c *cli) withAudit(ctx context.Context, f func(context.Context, auditLog) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (auditLog, error) {
			return ownAudit{&app.Audit{By: n.doer(), Store: n.store, Key: n.auditKey}, n}, nil
		},
		func(remote *client.Client) auditLog { return theirAudit{remote.Audit()} }, f)
}

// ownAudit is that of the data directory.
type ownAudit struct {
	*app.Audit
	node *node
}

func (o ownAudit) Each(ctx context.Context, f app.AuditFilter, do func(app.AuditEntry) error) error {
	for after := int64(0); ; {
		page, next, err := o.Page(ctx, f, after, mostListed)
		if err != nil {
			return err
		}
		for _, e := range page {
			if err := do(e); err != nil {
				return err
			}
		}
		if after = next; next == 0 {
			return nil
		}
	}
}

// Sign signs the logs of all workspaces.
func (o ownAudit) Sign(ctx context.Context) (mgx.AuditCheckpoint, error) {
	if err := o.node.signAudit(ctx, ""); err != nil {
		return mgx.AuditCheckpoint{}, err
	}
	return o.Audit.Sign(ctx)
}

func (o ownAudit) Key(context.Context) (string, error) {
	key, err := o.node.auditKey(true)
	if err != nil {
		return "", err
	}
	return key.Public(), nil
}

// theirAudit is that of a workspace at a server.
type theirAudit struct{ client.Audit }

func (t theirAudit) Each(ctx context.Context, f app.AuditFilter, do func(app.AuditEntry) error) error {
	for e, err := range t.Entries(ctx, client.AuditQuery(f)) {
		if err == nil {
			err = do(app.AuditEntry(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t theirAudit) Prove(ctx context.Context, sequence int64) (p audit.Proof, err error) {
	text, err := t.Audit.Prove(ctx, sequence)
	if err == nil && json.Unmarshal(text, &p) != nil {
		err = mgx.Errorf(mgx.KindConfig, client.CodeBadServer, "what the server answers is no proof that this version of mgx understands")
	}
	return p, err
}

// verifyThere has a server read its log over. With keys it is also checked here, by
// proofs that the server cannot make up.
func (c *cli) verifyThere(cmd *cobra.Command, keys []string) error {
	if err := c.onlyHere(cmd, "checkpoints"); err != nil {
		return err
	}
	trusted, err := audit.Trusted(keys...)
	if err != nil {
		return err
	}
	remote, err := c.remote(c.at)
	if err != nil {
		return err
	}
	r, err := remote.Audit().Verify(cmd.Context())
	if err != nil {
		return err
	}
	if len(keys) > 0 && r.Covered > 0 {
		for _, seq := range []int64{r.Removed + 1, r.Covered} {
			p, err := theirAudit{remote.Audit()}.Prove(cmd.Context(), seq)
			if err != nil {
				return err
			}
			if state, err := p.Check(trusted); err != nil || p.Index != seq-1 || state.Workspace != r.Workspace {
				r.Problems = append(r.Problems, "what proves an entry is not signed by a key that counts here")
				break
			}
		}
	}
	c.reportAudit(audit.Report(r))
	if len(r.Problems) > 0 {
		return auditTampered()
	}
	return nil
}

func auditTampered() error {
	return mgx.Errorf(mgx.KindGoal, "audit_tampered", "the audit log is not what was recorded; see docs/audit.md for what to do")
}
