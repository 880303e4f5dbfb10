package main

import (
	"iter"

	"mgx"
)

// turns says whose work is next when somebody is free: of the workspaces that have
// any, the one with the fewest runs at work; of several, the one whose turn was the
// longest ago. So a workspace with a thousand runs has all hands while it is alone,
// and when another comes, that one has the next hand that is free.
type turns struct {
	atWork map[mgx.WorkspaceID]int
	last   map[mgx.WorkspaceID]int64 // turn of each
	turn   int64
}

// maxTurns bounds the workspaces whose last turn is remembered. Forgetting them
// costs an order, no fairness.
const maxTurns = 10_000

func newTurns() turns {
	return turns{atWork: map[mgx.WorkspaceID]int{}, last: map[mgx.WorkspaceID]int64{}}
}

// next chooses among workspaces, of which there is one at least.
func (t *turns) next(waiting iter.Seq[mgx.WorkspaceID]) (next mgx.WorkspaceID) {
	for ws := range waiting {
		if next == "" || t.before(ws, next) {
			next = ws
		}
	}
	return next
}

func (t *turns) before(a, b mgx.WorkspaceID) bool {
	switch {
	case t.atWork[a] != t.atWork[b]:
		return t.atWork[a] < t.atWork[b]
	case t.last[a] != t.last[b]:
		return t.last[a] < t.last[b]
	}
	return a < b
}

func (t *turns) begin(ws mgx.WorkspaceID) {
	if len(t.last) >= maxTurns {
		clear(t.last)
	}
	t.turn++
	t.last[ws] = t.turn
	t.atWork[ws]++
}

func (t *turns) end(ws mgx.WorkspaceID) {
	if t.atWork[ws]--; t.atWork[ws] == 0 {
		delete(t.atWork, ws)
	}
}
