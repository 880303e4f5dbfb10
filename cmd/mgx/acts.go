package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mgx"
	"mgx/internal/store"
)

// Acts of the owner of the data directory on all of it.
const (
	actBackup  = "data.backup"
	actRestore = "data.restore"
	actExport  = "data.export"
)

// record takes an act on the whole of the data, or on a part of it, into the audit
// log before it is done.
func (c *cli) record(ctx context.Context, action string, ws mgx.WorkspaceID, resource string) (err error) {
	n, err := c.openAny(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	e := mgx.NewAudit(ws, mgx.AuditData{
		Actor: string(mgx.LocalUser), Action: action, Resource: resource, Decision: mgx.AuditAllowed, Details: &mgx.AuditDetails{From: "cli", Agent: "mgx"},
	})
	_, err = n.store.Commit(ctx, mgx.Change{Events: []mgx.Event{e}})
	return err
}

// unwritable are the codes of errors of a database that takes no writes.
var unwritable = []string{store.CodeDiskFull, store.CodeReadOnly, store.CodeDisk}

// recordIfWritable does that, and only says so when nothing can be written: a
// backup is wanted most when the disk is full, and whoever could make it could copy
// the files as well.
func (c *cli) recordIfWritable(ctx context.Context, action string, ws mgx.WorkspaceID, resource string) error {
	err := c.record(ctx, action, ws, resource)
	if err == nil || !slices.ContainsFunc(unwritable, func(code string) bool { return mgx.IsCode(err, code) }) {
		return err
	}
	fmt.Fprintf(c.err, "This is not in the audit log, for the database takes no writes: %s\n", mgx.AsError(err).Message)
	return nil
}
