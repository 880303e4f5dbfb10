package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mgx"
)

// Proof shows that an entry is in the log that a checkpoint was made of. It holds
// all that is needed to check it, but the key.
type Proof struct {
	Entry      mgx.Event   `json:"entry"`
	Index      int64       `json:"index"` // of its leaf, from 0
	Hashes     []tlog.Hash `json:"hashes"`
	Checkpoint string      `json:"checkpoint"`
	Erasure    string      `json:"erasure,omitempty"` // what erased the details says of itself, signed
}

// Prove proves the entry with a sequence by the last checkpoint that covers it.
func (l Log) Prove(ctx context.Context, sequence int64) (Proof, error) {
	var p Proof
	entries, err := l.Store.AuditEntries(ctx, l.Workspace, sequence-1)
	if err != nil {
		return p, err
	}
	if sequence < 1 || len(entries) == 0 || entries[0].Sequence != sequence {
		return p, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no audit entry %d; see: mgx audit", sequence)
	}
	last, found, err := l.Store.LastAuditCheckpoint(ctx, l.Workspace)
	if err != nil {
		return p, err
	}
	if !found || last.Size < sequence {
		return p, mgx.Errorf(mgx.KindUsage, "not_signed_yet", "no checkpoint covers audit entry %d yet; make one first: mgx audit checkpoint", sequence)
	}
	p = Proof{Entry: entries[0], Index: sequence - 1, Checkpoint: last.Note}
	if p.Erasure, err = l.erasureOf(ctx, p.Entry); err != nil {
		return p, err
	}
	p.Hashes, err = tlog.ProveRecord(last.Size, sequence-1, l.tree(ctx))
	return p, err
}

// Check checks a proof and returns the checkpoint that it rests on.
func (p Proof) Check(trusted note.Verifiers) (State, error) {
	state, err := Read(p.Checkpoint, trusted)
	if err != nil {
		return state, fmt.Errorf("the checkpoint does not count: %w", err)
	}
	leaf, err := leafOf(p.Entry)
	if err != nil {
		return state, err
	}
	if p.Entry.Workspace != state.Workspace || p.Entry.Sequence != p.Index+1 {
		return state, fmt.Errorf("the entry is not the one that the proof is of")
	}
	if err := tlog.CheckRecord(p.Hashes, state.Size, state.Root, p.Index, leaf); err != nil {
		return state, fmt.Errorf("the entry is not in that log as it is here: %w", err)
	}
	return state, p.lawful(trusted)
}

// leafOf hashes an entry whose details are what it committed to, or erased.
func leafOf(e mgx.Event) (tlog.Hash, error) {
	var d mgx.AuditData
	if err := e.Decode(&d); err != nil {
		return tlog.Hash{}, err
	}
	if !d.Intact() {
		return tlog.Hash{}, fmt.Errorf("the details of entry %d are not what was committed to", e.Sequence)
	}
	leaf, err := mgx.AuditLeaf(e)
	return tlog.RecordHash(leaf), err
}
