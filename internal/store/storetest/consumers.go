package storetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
)

// ConsumerStore is what a store does for consumers; *store.Store documents it.
type ConsumerStore interface {
	Commit(context.Context, mgx.Change) (mgx.Committed, error)
	Verify(context.Context) error
	Head(context.Context) (int64, error)
	Removed(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID) (int64, error)

	OpenConsumer(ctx context.Context, name string, after int64) (mgx.Consumer, error)
	Consumer(ctx context.Context, name string) (mgx.Consumer, error)
	Consumers(ctx context.Context) ([]mgx.Consumer, error)
	ClaimConsumer(ctx context.Context, seen mgx.ConsumerLease, owner string, until time.Time) (mgx.ConsumerLease, bool, error)
	RenewConsumer(ctx context.Context, l mgx.ConsumerLease, until time.Time) error
	ReleaseConsumer(ctx context.Context, l mgx.ConsumerLease) error
	FailConsumer(ctx context.Context, l mgx.ConsumerLease, f mgx.ConsumerFailure) error

	DeadLetters(ctx context.Context, consumer string, after int64, limit int) ([]mgx.DeadLetter, error)
	DueDeadLetters(ctx context.Context, consumer string, now time.Time, limit int) ([]mgx.DeadLetter, error)
	NextDeadLetter(ctx context.Context, consumer string) (time.Time, bool, error)
	RetryDeadLetters(ctx context.Context, consumer string, event mgx.EventID) (int64, error)
	DiscardDeadLetter(ctx context.Context, consumer string, event mgx.EventID) error

	CreateWebhook(ctx context.Context, by mgx.Doer, w mgx.Webhook, secret string) error
}

// RunConsumers runs the part of the suite that is about consumers. create makes a
// new, empty database, and each call of what it returns opens another handle on
// it.
func RunConsumers(t *testing.T, create func(testing.TB) func() ConsumerStore) {
	for name, test := range map[string]func(*readers){
		"Beginning":      (*readers).beginning,
		"Together":       (*readers).together,
		"ConsumerFenced": (*readers).fenced,
		"ConsumerOnce":   (*readers).claimOnce,
		"Failing":        (*readers).failing,
		"DeadLetters":    (*readers).deadLetters,
		"View":           (*readers).view,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := create(t)
			r := &readers{t, t.Context(), open(), open}
			test(r)
			if err := r.s.Verify(r.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}

type readers struct {
	t    *testing.T
	ctx  context.Context
	s    ConsumerStore
	open func() ConsumerStore
}

func (r *readers) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *readers) lost(what string, err error) {
	r.t.Helper()
	if !mgx.IsCode(err, mgx.CodeFenced) {
		r.t.Errorf("%s under a lost lease: %v", what, err)
	}
}

func (r *readers) consumer(name string, after int64) mgx.Consumer {
	r.t.Helper()
	c, err := r.s.OpenConsumer(r.ctx, name, after)
	r.must(err)
	return c
}

func (r *readers) get(name string) mgx.Consumer {
	r.t.Helper()
	c, err := r.s.Consumer(r.ctx, name)
	r.must(err)
	return c
}

func (r *readers) claim(name, owner string) mgx.ConsumerLease {
	r.t.Helper()
	l, ok, err := r.s.ClaimConsumer(r.ctx, r.get(name).Lease, owner, mgx.Now().Add(time.Minute))
	if err != nil || !ok {
		r.t.Fatal(ok, err)
	}
	return l
}

func (r *readers) say(stream mgx.StreamID, n int) []mgx.Event {
	r.t.Helper()
	var c mgx.Change
	for range n {
		c.Events = append(c.Events, said(stream))
	}
	out, err := r.s.Commit(r.ctx, c)
	r.must(err)
	return out.Events
}

func said(stream mgx.StreamID) mgx.Event {
	e := mgx.NewEvent("agent.message", struct{}{})
	e.Workspace, e.Stream = ws, stream
	return e
}

func (r *readers) advance(a mgx.ConsumerAdvance, events ...mgx.Event) error {
	_, err := r.s.Commit(r.ctx, mgx.Change{Advance: &a, Events: events})
	return err
}

func (r *readers) beginning() {
	r.say("task_a", 3)
	for name, want := range map[string]int64{"first": 0, "second": 2, "last": -1} {
		after := want
		if want < 0 {
			want = 3
		}
		if c := r.consumer(name, after); c.Position != want || c.Head != 3 || c.Lag != 3-want || c.Removed != 0 || c.CreatedAt.IsZero() || c.Gap != nil {
			r.t.Errorf("%s: %+v", name, c)
		}
	}
	r.say("task_a", 1)
	if c := r.consumer("last", -1); c.Position != 3 || c.Lag != 1 {
		r.t.Errorf("opened again it is %+v", c)
	}
	if _, err := r.s.Consumer(r.ctx, "other"); !mgx.IsCode(err, mgx.CodeNotFound) {
		r.t.Errorf("one that is not there: %v", err)
	}
}

// together: the effect and the position are there both or not at all.
func (r *readers) together() {
	t := r.t
	r.say("task_a", 3)
	r.consumer("c", 0)
	l := r.claim("c", "own_a")
	r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: 2}, said("task_b")))
	if c := r.get("c"); c.Position != 2 || c.Head != 4 || c.Lag != 2 {
		t.Errorf("after a change %+v", c)
	}
	// The effect is refused, as if the process had died before the commit.
	_, err := r.s.Commit(r.ctx, mgx.Change{Advance: &mgx.ConsumerAdvance{Lease: l, Position: 3}, Events: []mgx.Event{said("task_b")}, Consume: []mgx.SignalID{"sig_none"}})
	if err == nil {
		t.Error("a change that consumes no signal was taken")
	}
	if c := r.get("c"); c.Position != 2 || c.Head != 4 {
		t.Errorf("after a change that failed %+v", c)
	}
	r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: 1}))
	if c := r.get("c"); c.Position != 2 {
		t.Errorf("it moved back: %+v", c)
	}
	gap := mgx.ConsumerGap{After: 2, To: 9, At: mgx.Now()}
	r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: 2, Gap: &gap}))
	if c := r.get("c"); c.Gap == nil || c.Gap.Count != 1 || c.Gap.After != 2 || c.Gap.To != 9 || !c.Gap.At.Equal(gap.At) || c.Removed != 9 {
		t.Errorf("a gap %+v", c)
	}
}

// fenced: what was begun under a lease that is lost changes nothing.
func (r *readers) fenced() {
	t := r.t
	events := r.say("task_a", 3)
	r.consumer("c", 0)
	old := r.claim("c", "own_a")
	now := r.claim("c", "own_b") // the test says that own_a is dead
	if now.Term != old.Term+1 {
		t.Errorf("term %d after %d", now.Term, old.Term)
	}
	dead := mgx.DeadLetter{Event: events[0].ID, Workspace: ws, Position: 1}
	r.lost("advance", r.advance(mgx.ConsumerAdvance{Lease: old, Position: 1}, said("task_b")))
	r.lost("bury", r.advance(mgx.ConsumerAdvance{Lease: old, Position: 1, Dead: &dead}))
	r.lost("fail", r.s.FailConsumer(r.ctx, old, mgx.ConsumerFailure{Event: events[0].ID, Attempts: 1, Error: "x"}))
	r.lost("renew", r.s.RenewConsumer(r.ctx, old, mgx.Now().Add(time.Hour)))
	r.must(r.s.ReleaseConsumer(r.ctx, old))
	if c := r.get("c"); c.Position != 0 || c.Head != 3 || c.Dead != 0 || c.Failing != "" || c.Lease != now {
		t.Errorf("a lost lease changed %+v", c)
	}
	r.must(r.s.RenewConsumer(r.ctx, now, mgx.Now().Add(time.Hour)))
	r.must(r.s.ReleaseConsumer(r.ctx, now))
	r.lost("advance", r.advance(mgx.ConsumerAdvance{Lease: now, Position: 1}))
	if l := r.get("c").Lease; l.Owner != "" || !l.Until.IsZero() {
		t.Errorf("given back it is %+v", l)
	}
}

// claimOnce: of several processes that see a free lease one gets it, and only its
// changes are made.
func (r *readers) claimOnce() {
	r.say("task_a", 1)
	seen := r.consumer("c", 0).Lease
	var got, done atomic.Int64
	var all sync.WaitGroup
	for _, owner := range []string{"own_a", "own_b", "own_c", "own_d"} {
		s := r.open()
		all.Go(func() {
			l, ok, err := s.ClaimConsumer(r.ctx, seen, owner, mgx.Now().Add(time.Minute))
			if err != nil {
				r.t.Error(err)
			}
			if ok {
				got.Add(1)
			}
			if _, err := s.Commit(r.ctx, mgx.Change{Advance: &mgx.ConsumerAdvance{Lease: l, Position: 1}, Events: []mgx.Event{said("task_b")}}); err == nil {
				done.Add(1)
			}
		})
	}
	all.Wait()
	if head, err := r.s.Head(r.ctx); got.Load() != 1 || done.Load() != 1 || head != 2 || err != nil {
		r.t.Errorf("%d got the lease, %d changes were made, head %d %v", got.Load(), done.Load(), head, err)
	}
}

func (r *readers) failing() {
	e := r.say("task_a", 2)
	r.consumer("c", 0)
	l, next := r.claim("c", "own_a"), mgx.Now().Add(time.Second)
	r.must(r.s.FailConsumer(r.ctx, l, mgx.ConsumerFailure{Event: e[0].ID, Attempts: 2, Error: "it said no", NextAt: next}))
	if c := r.get("c"); c.Failing != e[0].ID || c.Attempts != 2 || c.LastError != "it said no" || !c.NextAt.Equal(next) || c.Position != 0 {
		r.t.Errorf("failing it is %+v", c)
	}
	r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: 1}))
	if c := r.get("c"); c.Failing != "" || c.Attempts != 0 || c.LastError != "" || !c.NextAt.IsZero() || c.Position != 1 {
		r.t.Errorf("when it went on it is %+v", c)
	}
}

func (r *readers) deadLetters() {
	t, e := r.t, r.say("task_a", 4)
	r.consumer("c", 0)
	r.consumer("d", 0)
	l := r.claim("c", "own_a")
	bury := func(e mgx.Event, next time.Time) {
		t.Helper()
		d := mgx.DeadLetter{Event: e.ID, Workspace: e.Workspace, Type: e.Type, Stream: e.Stream, Position: e.Position, Attempts: 6, LastError: "no", NextAt: next}
		r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: e.Position, Dead: &d}))
	}
	list := func() []mgx.DeadLetter {
		t.Helper()
		all, err := r.s.DeadLetters(r.ctx, "c", 0, 0)
		r.must(err)
		return all
	}
	for _, e := range e[:3] {
		bury(e, time.Time{})
	}
	bury(e[0], time.Time{}) // again
	all := list()
	if c := r.get("c"); len(all) != 3 || c.Dead != 3 || c.Pending != 0 || c.Position != 3 {
		t.Fatalf("%+v %+v", c, all)
	}
	if d := all[1]; d.Consumer != "c" || d.Event != e[1].ID || d.Workspace != ws || d.Type != e[1].Type || d.Stream != "task_a" || d.Position != 2 || d.Attempts != 6 || d.LastError != "no" || !d.NextAt.IsZero() || d.CreatedAt.IsZero() {
		t.Errorf("a dead letter is %+v", d)
	}
	if page, err := r.s.DeadLetters(r.ctx, "c", 1, 1); err != nil || len(page) != 1 || page[0].Position != 2 {
		t.Errorf("a page is %+v %v", page, err)
	}
	due := func() int {
		t.Helper()
		list, err := r.s.DueDeadLetters(r.ctx, "c", mgx.Now().Add(time.Second), 10)
		r.must(err)
		return len(list)
	}
	if _, some, err := r.s.NextDeadLetter(r.ctx, "c"); due() != 0 || some || err != nil {
		t.Error("dead letters are due by themselves", err)
	}
	if n, err := r.s.RetryDeadLetters(r.ctx, "c", e[1].ID); n != 1 || err != nil || due() != 1 {
		t.Errorf("retried %d %v", n, err)
	}
	bury(e[1], mgx.Now().Add(time.Hour)) // failed again, and there is another attempt
	if at, some, err := r.s.NextDeadLetter(r.ctx, "c"); due() != 0 || !some || err != nil || time.Until(at) < 50*time.Minute {
		t.Errorf("next %v %v %v", at, some, err)
	}
	if c := r.get("c"); c.Dead != 2 || c.Pending != 1 {
		t.Errorf("waiting for an attempt %+v", c)
	}
	if n, err := r.s.RetryDeadLetters(r.ctx, "c", ""); n != 3 || err != nil || due() != 3 {
		t.Errorf("retried %d %v", n, err)
	}
	r.must(r.advance(mgx.ConsumerAdvance{Lease: l, Position: 3, Settled: e[1].ID}))
	r.must(r.s.DiscardDeadLetter(r.ctx, "c", e[0].ID))
	if all := list(); len(all) != 1 || all[0].Event != e[2].ID {
		t.Errorf("left %+v", all)
	}
	for name, err := range map[string]error{
		"discard twice": r.s.DiscardDeadLetter(r.ctx, "c", e[0].ID), "discard all": r.s.DiscardDeadLetter(r.ctx, "c", ""),
		"another's": r.s.DiscardDeadLetter(r.ctx, "d", e[2].ID), "nobody's": r.s.DiscardDeadLetter(r.ctx, "x", e[2].ID),
	} {
		if !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.s.RetryDeadLetters(r.ctx, "c", e[0].ID); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("retry of none: %v", err)
	}
}

// view: webhooks are seen beside the consumers.
func (r *readers) view() {
	r.say("task_a", 3)
	r.consumer("b", 1)
	r.consumer("a", 0)
	w := mgx.Webhook{ID: mgx.NewWebhookID(), Workspace: ws, URL: "https://example.com/hook", Cursor: 2}
	r.must(r.s.CreateWebhook(r.ctx, doer, w, "whsec_x"))
	all, err := r.s.Consumers(r.ctx)
	if err != nil || len(all) != 3 || all[0].Name != "a" || all[1].Name != "b" || all[1].Lag != 3 {
		r.t.Fatalf("%+v %v", all, err)
	}
	if h := all[2]; h.Name != "webhook:"+string(w.ID) || h.Position != 2 || h.Head != 4 || h.Lag != 2 {
		r.t.Errorf("the webhook is %+v", h)
	}
}
