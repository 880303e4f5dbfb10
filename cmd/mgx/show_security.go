package main

import (
	"context"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/ui"
)

// showSecurity says what a run read that others wrote, what that could have led
// to, and what was held back.
func (c *cli) showSecurity(ctx context.Context, n *node, run mgx.Run) error {
	s := mgx.Security{Run: run.ID}
	for e, err := range n.store.EachEvent(ctx, store.EventQuery{Workspace: run.Workspace, Run: run.ID}) {
		if err == nil {
			err = s.Apply(e)
		}
		if err != nil {
			return err
		}
	}
	if c.json {
		return printJSON(c, s)
	}
	return ui.Security(c.out, s)
}
