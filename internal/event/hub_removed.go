package event

import "context"

// watch notices when retention removes events that a reader of the log has yet to
// read, which it would miss without knowing. What is read from memory lacks
// nothing, so only pages from the store count, and the source is asked after some of
// them: asking costs more than a page where many streams have lost events.
type watch struct {
	known int64 // position up to which the reader need not know of removed events
	since int64 // where it stood before the first page that was not looked at yet
	pages int   // of those
}

const watchEvery = 16

// read notes a page that came from the store and begins after a position.
func (w *watch) read(after int64) {
	if w.pages == 0 {
		w.since = after
	}
	w.pages++
}

// due reports whether it is time to look, which it is in any case before a reader is
// told that it has everything.
func (w *watch) due(all bool) bool { return w.pages >= watchEvery || all && w.pages > 0 }

// look is a *Reset when something was removed after the place of a page that was
// read since it was looked last.
func (w *watch) look(ctx context.Context, h *Hub, f *filter) error {
	removed, err := h.removed(ctx, f)
	if err != nil {
		return err
	}
	if removed > max(w.known, w.since) {
		return &Reset{Reason: ResetTooOld, Earliest: removed + 1, Head: h.last.Load()}
	}
	w.pages = 0
	return nil
}

// removed is the greatest position of a removed event that a filter may let through.
func (h *Hub) removed(ctx context.Context, f *filter) (int64, error) {
	ctx, stop := context.WithTimeout(ctx, sourceWait)
	defer stop()
	return (&follower{src: h.source.Source, q: FollowQuery{Workspace: f.workspace, Run: f.run}}).removed(ctx)
}

// watcher is a watch for a reader that begins after a position: one from the
// beginning takes what there is then.
func (h *Hub) watcher(ctx context.Context, f *filter, start int64, resume string) (w watch, err error) {
	if start == 0 && resume == "" {
		w.known, err = h.removed(ctx, f)
	}
	return w, err
}
