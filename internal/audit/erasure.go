package audit

import (
	"context"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"mgx"
)

// Vouch signs what an erasure says of itself (store.Options.Vouch): who can write to
// the database but has no key cannot say that what they took away was erased.
func (k *Key) Vouch(text string) (string, error) {
	signed, err := note.Sign(&note.Note{Text: text}, k)
	return string(signed), err
}

// readErasure reads what an erasure says, when one of the trusted keys signed it.
func readErasure(text string, trusted note.Verifiers) (mgx.AuditErasure, error) {
	n, err := note.Open([]byte(text), trusted)
	if err != nil {
		return mgx.AuditErasure{}, err
	}
	return mgx.ReadAuditErasure(n.Text)
}

// hear takes what an entry says was erased.
func (v *verifier) hear(e mgx.Event, d mgx.AuditData) {
	if d.Erased == "" {
		return
	}
	told, err := readErasure(d.Erased, v.o.Trusted)
	switch {
	case err != nil:
		v.report.found("entry %d says that details were erased, which does not count: %v", e.Sequence, err)
	case told.Workspace != v.Workspace:
		v.report.found("entry %d tells of an erasure in another workspace, %s", e.Sequence, told.Workspace)
	default:
		v.told = v.told.And(told.Entries)
	}
}

// lacking notes an entry whose details are gone.
func (v *verifier) lacking(e mgx.Event, d mgx.AuditData) {
	switch {
	case d.Details != nil:
	case d.Leaf == 0:
		v.earlier = v.earlier.With(e.Sequence)
	default:
		v.gone = v.gone.With(e.Sequence)
	}
}

// account holds what is gone against what erasures say. One that happened while the
// log was read stands behind what was read.
func (v *verifier) account(ctx context.Context) error {
	for after := v.size; !v.accounted(); {
		entries, err := v.Store.AuditEntries(ctx, v.Workspace, after)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		for _, e := range entries {
			var d mgx.AuditData
			if err := e.Decode(&d); err != nil {
				return err
			}
			v.hear(e, d)
			after = e.Sequence
		}
	}
	for n := range v.gone.All() {
		if v.told.Has(n) {
			v.report.Erased++
			continue
		}
		v.report.found("the details of entry %d were taken away, and no erasure tells of it", n)
	}
	for n := range v.earlier.All() {
		if v.told.Has(n) {
			v.report.Erased++
			continue
		}
		v.report.ErasedBefore++
	}
	return nil
}

func (v *verifier) accounted() bool {
	for n := range v.gone.All() {
		if !v.told.Has(n) {
			return false
		}
	}
	return true
}

// erasureOf is what the erasure of an entry's details said of itself; empty: there is
// none, or the entry has its details.
func (l Log) erasureOf(ctx context.Context, e mgx.Event) (string, error) {
	var d mgx.AuditData
	if err := e.Decode(&d); err != nil || d.Details != nil {
		return "", err
	}
	for after := e.Sequence; ; {
		entries, err := l.Store.AuditEntries(ctx, l.Workspace, after)
		if err != nil || len(entries) == 0 {
			return "", err
		}
		for _, later := range entries {
			after = later.Sequence
			var d mgx.AuditData
			if err := later.Decode(&d); err != nil {
				return "", err
			}
			text, _, _ := strings.Cut(d.Erased, "\n\n")
			if told, err := mgx.ReadAuditErasure(text + "\n"); err == nil && told.Entries.Has(e.Sequence) {
				return d.Erased, nil
			}
		}
	}
}

// lawful refuses an entry without details of which no erasure tells that counts.
func (p Proof) lawful(trusted note.Verifiers) error {
	var d mgx.AuditData
	if err := p.Entry.Decode(&d); err != nil || d.Details != nil || d.Leaf == 0 {
		return err
	}
	told, err := readErasure(p.Erasure, trusted)
	if err != nil || told.Workspace != p.Entry.Workspace || !told.Entries.Has(p.Entry.Sequence) {
		return fmt.Errorf("the details of the entry were taken away, and no erasure that counts tells of it")
	}
	return nil
}
