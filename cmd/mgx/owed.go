package main

import (
	"context"
	"slices"
	"sync"

	"mgx"
	"mgx/internal/store"
)

// mostOwed bounds what is kept, in calls. What is beyond counts in full in the end.
const mostOwed = 10_000

// owed are calls whose cost could not be written when they ended, since the database
// was away or its disk full. They are settled when it can be written again, and not
// at the most that they could have cost when their time is up.
type owed struct {
	mu      sync.Mutex
	changes []owedChange
}

type owedChange struct {
	ctx    context.Context // of its workspace; it does not end
	change mgx.Change
}

func (o *owed) add(ctx context.Context, c mgx.Change) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.changes) < mostOwed {
		o.changes = append(o.changes, owedChange{ctx, c})
	}
}

// settle writes what is owed, as far as it can be written. What was settled
// meanwhile, or was written although nobody said so, is forgotten.
func (o *owed) settle(s *store.Store) (settled int, err error) {
	o.mu.Lock()
	due := o.changes
	o.changes = nil
	o.mu.Unlock()
	for i, c := range due {
		if _, err = s.Commit(c.ctx, c.change); err != nil && !mgx.IsCode(err, mgx.CodeConflict) {
			o.mu.Lock()
			o.changes = slices.Concat(due[i:], o.changes)
			o.mu.Unlock()
			return settled, err
		}
		if err == nil {
			settled++
		}
	}
	return settled, nil
}
