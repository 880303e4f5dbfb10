package api

import (
	"context"
	"sync"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
)

// warden ends streams whose actors may not have them any more: at once when this
// process hears of it, and in any case within access.Fresh. One goroutine looks
// after all of them while there are any.
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
	end    func()
}

// watch looks after a stream until what it returns is called. The owner of the
// data directory is never out.
func (w *warden) watch(actor access.Actor, secret string, end func()) (leave func()) {
	if actor.Owner {
		return func() {}
	}
	one := &watched{actor, secret, end}
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
	out := map[string]bool{}
	for _, one := range w.all() {
		key := one.secret + " " + string(one.actor.Workspace)
		over, known := out[key]
		if !known {
			over = w.over(ctx, one)
			out[key] = over
		}
		if over {
			go one.end() // it may wait for its peer
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

func (w *warden) over(ctx context.Context, one *watched) bool {
	ctx, stop := context.WithTimeout(ctx, access.Fresh)
	defer stop()
	actor, err := w.access.Again(ctx, one.actor, one.secret)
	if err == nil {
		err = w.access.Authorize(ctx, actor, "connect", access.Resource{Kind: "events"})
	}
	return err != nil && mgx.AsError(err).Kind == mgx.KindRefused
}
