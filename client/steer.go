package client

import (
	"context"
	"crypto/rand"

	"mgx"
)

// Steer says something to a run that is under way.
func (r Runs) Steer(ctx context.Context, id mgx.RunID, words string) error {
	return r.c.create(ctx, runPath(id)+"/messages", rand.Text(), map[string]string{"text": words}, nil)
}

// Pause has a run stand still before its next turn or tool call.
func (r Runs) Pause(ctx context.Context, id mgx.RunID, reason string) error {
	return r.c.create(ctx, runPath(id)+"/pause", rand.Text(), map[string]string{"reason": reason}, nil)
}

// Continue lets a run go on that is paused.
func (r Runs) Continue(ctx context.Context, id mgx.RunID) error {
	return r.c.create(ctx, runPath(id)+"/continue", rand.Text(), nil, nil)
}
