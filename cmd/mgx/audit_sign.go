package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/audit"
)

const signEvery = time.Minute

// signAudits makes checkpoints as the audit logs grow, and a last one at the end.
func (n *node) signAudits(ctx context.Context, second string) {
	tick := time.NewTicker(signEvery)
	defer tick.Stop()
	for on := true; on; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			on = false
		}
		if err := n.signAudit(context.WithoutCancel(ctx), second); err != nil {
			n.log.Error("the audit log cannot be signed; what is recorded meanwhile is covered later", "error", err)
		}
	}
}

// auditKey is the key of this data directory; make: also when it has none yet.
func (n *node) auditKey(make bool) (*audit.Key, error) {
	open := openedSecret
	if make {
		open = openSecret
	}
	s, err := open(n.data, auditKeyFile)
	if err != nil {
		return nil, err
	}
	return audit.NewKey(s.value), nil
}

// vouch signs what an erasure says of itself.
func (n *node) vouch(text string) (string, error) {
	key, err := n.auditKey(true)
	if err != nil {
		return "", err
	}
	return key.Vouch(text)
}

// signAudit makes checkpoints of the audit logs that grew, and adds them to a file
// in a second place, if one is named.
func (n *node) signAudit(ctx context.Context, second string) error {
	all, err := n.store.AuditedWorkspaces(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	key, err := n.auditKey(true)
	if err != nil {
		return err
	}
	for _, ws := range all {
		c, made, err := audit.Log{Store: n.store, Workspace: ws}.Sign(ctx, key, mgx.Now())
		if err == nil && made && second != "" {
			err = addCheckpoint(second, c.Note)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkpointEnd stands after each checkpoint of a file.
const checkpointEnd = "\n"

func addCheckpoint(name, note string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return checkpointError(name, err)
	}
	_, err = f.WriteString(note + checkpointEnd)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return checkpointError(name, err)
	}
	return nil
}

func checkpointError(name string, err error) error {
	return mgx.Errorf(mgx.KindConfig, "checkpoints_file", "the file of audit checkpoints %s cannot be used: %w", name, err)
}

// readCheckpoints reads what addCheckpoint wrote. A note has one empty line of its
// own, before its signatures.
func readCheckpoints(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, checkpointError(name, err)
	}
	parts := slices.DeleteFunc(strings.Split(string(text), "\n\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
	var notes []string
	for pair := range slices.Chunk(parts, 2) {
		notes = append(notes, strings.Trim(strings.Join(pair, "\n\n"), "\n")+"\n")
	}
	return notes, nil
}
