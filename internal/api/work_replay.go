package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
)

type replayOut struct {
	Body app.Replay
}

func replayRun(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*replayOut, error) {
	r, err := w.Replay(ctx, actor(ctx), in.ID)
	return &replayOut{r}, err
}
