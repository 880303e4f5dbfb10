package main

import (
	"context"

	"mgx"
	"mgx/internal/ui"
)

// showSecurity says what a run read that others wrote, what that could have led
// to, and what was held back.
func (c *cli) showSecurity(ctx context.Context, r runs, run mgx.Run) error {
	s := mgx.Security{Run: run.ID}
	for e, err := range r.Events(ctx, run) {
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
