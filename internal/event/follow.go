package event

import (
	"context"
	"iter"
	"time"

	"mgx"
)

const (
	pollEvery  = 200 * time.Millisecond // for commits of other processes
	followPage = 500                    // events read at once
)

// Source is what Follow reads; *store.Store is one.
type Source interface {
	// EventsAfter returns up to limit matching events after a position, in
	// position order, and none only when there is none.
	EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error)
	// Head returns the position of the last event of the whole log.
	Head(ctx context.Context) (int64, error)
	// Changed returns a channel that is closed at this process's next commit.
	Changed() <-chan struct{}
	// Version returns a number that changes when any process commits.
	Version(ctx context.Context) (int64, error)
}

// remover is a source that knows what retention has removed; *store.Store is one.
type remover interface {
	// Removed returns the greatest position of an event that was removed, of one
	// workspace and one stream if given; 0: none was.
	Removed(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID) (int64, error)
}

// FollowQuery says which events to follow. Every field that is set narrows.
type FollowQuery struct {
	Workspace mgx.WorkspaceID // required
	Stream    mgx.StreamID
	Run       mgx.RunID
	Types     []string             // any of these; * stands for any text: "task.*"
	After     int64                // position of the last event already seen; 0: from the beginning
	Until     func(mgx.Event) bool // ends after the event for which it is true; nil: never
}

// Follow yields every matching event after q.After, in position order, each
// once: first those that are there, then new ones as they are committed, by
// this process at once and by others within 200 ms. It holds no queue, so a
// slow reader only falls behind. It ends after the event that q.Until accepts,
// when the loop is left, or with an error: the source's, ctx's, or a *Reset when
// events after the reader's place have been removed, so that it may have missed
// some. From the beginning means whatever is there then.
func Follow(ctx context.Context, src Source, q FollowQuery) iter.Seq2[mgx.Event, error] {
	return func(yield func(mgx.Event, error) bool) {
		if q.Workspace == "" {
			yield(mgx.Event{}, mgx.Errorf(mgx.KindInternal, "no_workspace", "following events needs a workspace"))
			return
		}
		f := follower{src: src, q: q, yield: yield}
		if err := f.run(ctx); err != nil {
			yield(mgx.Event{}, err)
		}
	}
}

// Resumable returns the *Reset that Follow would end with if it began with a
// query now; nil: none.
func Resumable(ctx context.Context, src Source, q FollowQuery) error {
	if q.After == 0 {
		return nil
	}
	head, err := src.Head(ctx)
	if err != nil {
		return err
	}
	return (&follower{src: src, q: q}).gap(ctx, head)
}

type follower struct {
	src   Source
	q     FollowQuery // After moves along
	yield func(mgx.Event, error) bool
	ended bool
	known int64 // position up to which the reader knows, or need not know, of removed events
}

// run alternates between reading all there is and waiting for more. What it
// waits with is taken before it reads, so that a commit in between wakes it.
func (f *follower) run(ctx context.Context) (err error) {
	if f.q.After == 0 {
		if f.known, err = f.removed(ctx); err != nil {
			return err
		}
	}
	for {
		changed := f.src.Changed()
		version, err := f.src.Version(ctx)
		if err != nil {
			return err
		}
		if err := f.catchUp(ctx); err != nil || f.ended {
			return err
		}
		if err := f.wait(ctx, changed, version); err != nil {
			return err
		}
	}
}

func (f *follower) catchUp(ctx context.Context) error {
	head, err := f.src.Head(ctx)
	if err != nil {
		return err
	}
	for f.q.After < head {
		page, err := f.src.EventsAfter(ctx, f.q.Workspace, f.q.Stream, f.q.Run, f.q.Types, f.q.After, followPage)
		if err != nil {
			return err
		}
		if err := f.gap(ctx, head); err != nil {
			return err
		}
		if len(page) == 0 {
			f.q.After = head // nothing up to here matches: do not look there again
		}
		for _, e := range page {
			if f.ended = !f.yield(e, nil) || f.q.Until != nil && f.q.Until(e); f.ended {
				return nil
			}
			f.q.After = e.Position
		}
	}
	return nil
}

// gap is a *Reset when something after the reader's place was removed since it
// was there. It is looked at after the page was read, which lacks what was
// removed before.
func (f *follower) gap(ctx context.Context, head int64) error {
	removed, err := f.removed(ctx)
	if err != nil || removed <= max(f.known, f.q.After) {
		return err
	}
	return &Reset{Reason: ResetTooOld, Earliest: removed + 1, Head: head}
}

// removed is the greatest position of a removed event that may be one of those
// that are followed: those of a run are in the run's stream.
func (f *follower) removed(ctx context.Context) (int64, error) {
	src, knows := f.src.(remover)
	if !knows {
		return 0, nil
	}
	stream := f.q.Stream
	if stream == "" {
		stream = mgx.StreamID(f.q.Run)
	}
	return src.Removed(ctx, f.q.Workspace, stream)
}

func (f *follower) wait(ctx context.Context, changed <-chan struct{}, version int64) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
			return nil
		case <-poll.C:
			now, err := f.src.Version(ctx)
			if err != nil || now != version {
				return err
			}
		}
	}
}
