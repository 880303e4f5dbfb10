package main

import (
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"mgx"
)

// Whatever the workspaces have to do and however long it takes: no workspace that
// waits has fewer runs at work than one that gets a hand, and one that has none at
// work waits for no more turns than there are workspaces.
func TestTurnsAreFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		hands := rapid.IntRange(1, 6).Draw(rt, "hands")
		waiting, turns := map[mgx.WorkspaceID]int{}, newTurns()
		for i := range rapid.IntRange(1, 6).Draw(rt, "workspaces") {
			waiting[mgx.WorkspaceID(fmt.Sprint("ws_", i))] = rapid.SampledFrom([]int{1, 3, 1000}).Draw(rt, "runs")
		}
		all := len(waiting)
		var busy []mgx.WorkspaceID
		since := map[mgx.WorkspaceID]int{} // turns of others since it waits
		for range 200 {
			if len(busy) == hands || len(waiting) == 0 {
				if len(busy) == 0 {
					return
				}
				i := rapid.IntRange(0, len(busy)-1).Draw(rt, "done")
				turns.end(busy[i])
				busy = append(busy[:i], busy[i+1:]...)
				continue
			}
			ws := turns.next(maps.Keys(waiting))
			for other := range waiting {
				if turns.atWork[other] < turns.atWork[ws] {
					rt.Fatalf("%s got a hand with %d at work, and %s waits with %d", ws, turns.atWork[ws], other, turns.atWork[other])
				}
				if since[other]++; turns.atWork[other] > 0 {
					since[other] = 0
				}
				if other != ws && since[other] > all {
					rt.Fatalf("%s waits for %d turns of others", other, since[other])
				}
			}
			since[ws] = 0
			turns.begin(ws)
			busy = append(busy, ws)
			if waiting[ws]--; waiting[ws] == 0 {
				delete(waiting, ws)
			}
		}
	})
}
