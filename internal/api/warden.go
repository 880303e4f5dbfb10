package api

import (
	"context"
	"sync"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// warden ends streams whose actors may not have them any more, or not all that is in
// them: at once when this process hears of it, and in any case within access.Fresh. One
// goroutine looks after all of them while there are any.
type warden struct {
	access *app.Access

	mu      sync.Mutex
	watched map[*watched]struct{}
	none    chan struct{} // closed when the last has gone
}

// watched is one stream.
type watched struct {
	actor  access.Actor
	secret string
	audit  bool // entries of the audit log may be in it
	end    func(again bool)
}

// watch looks after a stream until what it returns is called. It ends it, and says
// whether whoever has it may begin another, with what is left to them. The owner of the
// data directory is never out.
func (w *warden) watch(ctx context.Context, actor access.Actor, secret string, end func(again bool)) (leave func()) {
	if actor.Owner {
		return func() {}
	}
	one := &watched{actor, secret, w.access.SeesAudit(ctx, actor), end}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.watched) == 0 {
		w.watched, w.none = map[*watched]struct{}{}, make(chan struct{})
		go w.run(w.none)
	}
	w.watched[one] = struct{}{}
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if delete(w.watched, one); len(w.watched) == 0 {
			close(w.none)
		}
	}
}

func (w *warden) run(none chan struct{}) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	tick := time.NewTicker(access.Fresh)
	defer tick.Stop()
	for {
		changed := w.access.Changed() // before looking, or a change in between is missed
		w.look(ctx)
		select {
		case <-none:
			return
		case <-changed:
		case <-tick.C:
		}
	}
}

// look ends those streams that are to end. Of many of one actor it asks once. A
// database that cannot be asked ends none.
func (w *warden) look(ctx context.Context) {
	type kind struct {
		secret    string
		workspace mgx.WorkspaceID
		audit     bool
	}
	type verdict struct{ over, again bool }
	known := map[kind]verdict{}
	for _, one := range w.all() {
		of := kind{one.secret, one.actor.Workspace, one.audit}
		v, asked := known[of]
		if !asked {
			v.over, v.again = w.over(ctx, one)
			known[of] = v
		}
		if v.over {
			go one.end(v.again) // it may wait for its peer
		}
	}
}

func (w *warden) all() []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*watched, 0, len(w.watched))
	for one := range w.watched {
		list = append(list, one)
	}
	return list
}

// over reports whether a stream is to end, and whether another may begin.
func (w *warden) over(ctx context.Context, one *watched) (over, again bool) {
	ctx, stop := context.WithTimeout(ctx, access.Fresh)
	defer stop()
	actor, err := w.access.Again(ctx, one.actor, one.secret)
	if err == nil {
		err = w.access.Authorize(ctx, actor, "connect", access.Resource{Kind: "events"})
	}
	if err == nil {
		return one.audit && !w.access.SeesAudit(ctx, actor), true
	}
	return mgx.AsError(err).Kind == mgx.KindRefused, false
}
