package event

import (
	"context"
	"time"

	"mgx"
)

const sourceWait = 30 * time.Second // for one answer of the source

// patient is a source that is not waited for without end: a connection to a
// database can die without anybody being told.
type patient struct{ Source }

func (p patient) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	return p.Source.EventsAfter(ctx, ws, stream, run, types, position, limit)
}

func (p patient) Head(ctx context.Context) (int64, error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	return p.Source.Head(ctx)
}

func (p patient) Version(ctx context.Context) (int64, error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	return p.Source.Version(ctx)
}

// Earliest is the position from which on nothing has been removed, as the source
// knows it, else that of the first event there is.
func (p patient) Earliest(ctx context.Context) (int64, error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	if src, ok := p.Source.(interface {
		Earliest(context.Context) (int64, error)
	}); ok {
		return src.Earliest(ctx)
	}
	first, err := p.Source.EventsAfter(ctx, "", "", "", nil, 0, 1)
	if err != nil || len(first) == 0 {
		return 1, err
	}
	return first[0].Position, nil
}
