package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"unicode/utf8"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/event"
	secrets "mgx/internal/secret"
)

// rights adds to the options of the API what is about data: secrets, the audit log,
// how long events are kept, and what people and workspaces may ask for.
func (n *node) rights(o *api.Options, contracts *event.Registry) {
	o.Secrets = &app.Secrets{Vault: n.anyVault, Hide: n.hideOf}
	o.Audit = &app.Audit{Store: n.store, Key: n.auditKey}
	if t, known := contracts.Type(mgx.AuditRecorded); known {
		o.Audit.Keep = t.Retention
	}
	if n.second != "" {
		o.Audit.Second = func(note string) error { return addCheckpoint(n.second, note) }
	}
	o.Retention = n.retention(contracts)
	o.Rights = &app.Rights{Store: n.store, Files: n.exportFiles, Remove: n.removeFiles, RemoveAll: n.removeAll, Retain: n.retain}
	o.Templates = &app.Templates{Access: o.Access, Store: n.store}
	o.Trial, o.Checks = trial(), append(o.Checks, n.ringChecks()...)
}

// removeFiles removes the files of a run.
func (n *node) removeFiles(id mgx.RunID) error { return removeRun(n.runDir(id)) }

// removeAll removes what is kept of an erased workspace besides: repositories that
// were sent to it, and answers of models.
func (n *node) removeAll(ctx context.Context, ws mgx.WorkspaceID) error {
	err := n.models.state.ForgetAnswers(ctx, ws)
	if err != nil {
		err = mgx.Errorf(mgx.KindConfig, "answers_left", "the database is erased, but Redis could not be asked to forget what models answered; it does by itself when the time is over for which they are kept: %w", err)
	}
	return errors.Join(n.uploads.remove(ws), err)
}

// anyVault is that of no workspace yet.
func (n *node) anyVault(make bool) (secrets.Vault, error) {
	v, err := n.vault("", make)
	v.Actor, v.From = "", ""
	return v, err
}

// retention is for how long this node's events are kept.
func (n *node) retention(contracts *event.Registry) *app.Retention {
	return &app.Retention{Store: n.store, Contracts: contracts, Changed: n.store.SetKeep}
}

// keepAsSet has the store keep events for as long as is set.
func (n *node) keepAsSet(ctx context.Context, contracts *event.Registry) error {
	keep, err := n.retention(contracts).Keep(ctx)
	if err == nil {
		n.store.SetKeep(keep)
	}
	return err
}

// exportFiles hands out the files of a run, in pieces.
func (n *node) exportFiles(id mgx.RunID, each func(kind string, record any) error) error {
	return addFiles(n.runDir(id), string(id), func(name string, _ fs.FileMode, content io.Reader) error {
		return pieces(id, name, content, each)
	})
}

// pieces hands a file out as records.
func pieces(run mgx.RunID, name string, from io.Reader, each func(kind string, record any) error) error {
	for number, piece := 1, make([]byte, exportPiece); ; number++ {
		n, err := io.ReadFull(from, piece)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		if n > 0 || number == 1 {
			record := map[string]any{"run_id": run, "name": name, "piece": number}
			if utf8.Valid(piece[:n]) {
				record["text"] = string(piece[:n])
			} else {
				record["base64"] = base64.StdEncoding.EncodeToString(piece[:n])
			}
			if err := each("file", record); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}
