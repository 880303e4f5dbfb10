package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

// RetentionStore is a store whose old events go.
type RetentionStore interface {
	Store
	Retain(ctx context.Context, now time.Time, r store.Retention) (store.Retained, error)
	Earliest(context.Context) (int64, error)
}

// Same holds two databases against each other, whatever they do to let old events
// go: the same history, with clocks that jump and events of other times, and with
// types that change for how long they are kept, is kept by both in the same way.
// Each function opens one of them, again when it was closed.
func Same(t *rapid.T, one, other func(set func(*store.Options)) RetentionStore) {
	p := &pair{t: t, clock: newClock(), keep: maps.Clone(classes)}
	open := func() { p.stores = [2]RetentionStore{one(p.set), other(p.set)} }
	open()
	defer p.close()
	p.begin()
	t.Repeat(map[string]func(*rapid.T){
		"begin":  func(*rapid.T) { p.begin() },
		"append": p.append,
		"end":    p.end,
		"pass": func(t *rapid.T) {
			p.clock.pass(time.Duration(rapid.SampledFrom([]int{0, 1, 20, 35, 70}).Draw(t, "days")) * 24 * time.Hour)
		},
		"retain": p.retain,
		"change": func(t *rapid.T) {
			typ := rapid.SampledFrom(types).Draw(t, "type")
			p.keep[typ] = time.Duration(rapid.SampledFrom([]int{1, 30, 90, 400}).Draw(t, "kept")) * 24 * time.Hour
			p.close()
			open()
		},
		"": p.compare,
	})
	p.retain(t)
	p.compare(t)
	for _, s := range p.stores {
		if err := s.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

var classes = map[mgx.EventType]time.Duration{
	mgx.RunCreated: 90 * 24 * time.Hour, mgx.ToolCalled: 30 * 24 * time.Hour, mgx.ToolReturned: 90 * 24 * time.Hour,
	mgx.TaskCompleted: 365 * 24 * time.Hour, mgx.LLMCallCompleted: 30 * 24 * time.Hour,
}

var types = []mgx.EventType{mgx.ToolCalled, mgx.ToolReturned, mgx.LLMCallCompleted, "not.known"}

type pair struct {
	t      *rapid.T
	clock  *clock
	keep   map[mgx.EventType]time.Duration
	stores [2]RetentionStore
	scopes []mgx.Scope
	ended  int // of the scopes, from the first
}

func (p *pair) set(o *store.Options) {
	p.clock.set(o)
	o.Keep = maps.Clone(p.keep)
}

func (p *pair) close() {
	for _, s := range p.stores {
		s.Close()
	}
}

// commit appends to both, and waits until the log of either has it.
func (p *pair) commit(events ...mgx.Event) {
	for _, s := range p.stores {
		if _, err := s.Commit(p.t.Context(), mgx.Change{Events: events}); err != nil {
			p.t.Fatal(err)
		}
	}
	for p.head(p.stores[0]) != p.head(p.stores[1]) {
		time.Sleep(time.Millisecond)
	}
}

func (p *pair) head(s RetentionStore) int64 {
	head, err := s.Head(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return head
}

func (p *pair) event(s mgx.Scope, typ mgx.EventType, data any, at time.Time) mgx.Event {
	e := s.Event(typ, data)
	e.Time = at.UTC().Truncate(time.Microsecond)
	return e
}

func (p *pair) begin() {
	s := scope()
	p.scopes = append(p.scopes, s)
	p.commit(p.event(s, mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: s.Task}}, p.clock.now()))
}

func (p *pair) append(t *rapid.T) {
	var events []mgx.Event
	for range rapid.IntRange(1, 8).Draw(t, "events") {
		s := rapid.SampledFrom(p.scopes).Draw(t, "run")
		at := p.clock.now()
		if rapid.IntRange(0, 4).Draw(t, "elsewhen") == 0 {
			at = at.AddDate(0, 0, rapid.IntRange(-500, 90).Draw(t, "days"))
		}
		e := p.event(s, rapid.SampledFrom(types).Draw(t, "type"), map[string]any{"call_id": "x", "status": "success"}, at)
		switch rapid.IntRange(0, 3).Draw(t, "stream") {
		case 0:
			e.Stream = mgx.StreamID(s.Task)
		case 1:
			e.Stream, e.Run = "other", ""
		}
		events = append(events, e)
	}
	p.commit(events...)
}

func (p *pair) end(*rapid.T) {
	if p.ended < len(p.scopes) {
		s := p.scopes[p.ended]
		p.commit(p.event(s, mgx.TaskCompleted, mgx.TaskCompletedData{}, p.clock.now()))
		p.ended++
	}
}

func (p *pair) retain(t *rapid.T) {
	var counted, done [2]store.Retained
	for i, s := range p.stores {
		var err error
		if counted[i], err = s.Retain(t.Context(), p.clock.now(), store.Retention{Keep: p.keep, Dry: true}); err != nil {
			t.Fatal(err)
		}
		if done[i], err = s.Retain(t.Context(), p.clock.now(), store.Retention{Keep: p.keep}); err != nil {
			t.Fatal(err)
		}
	}
	if done[0] != done[1] || counted[0] != counted[1] || counted[1].Removed != done[1].Removed || counted[1].Emptied != done[1].Emptied {
		t.Fatalf("counted %+v, done %+v", counted, done)
	}
	for _, s := range p.stores {
		if err := s.Verify(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// compare asks both the same.
func (p *pair) compare(t *rapid.T) {
	s := rapid.SampledFrom(p.scopes).Draw(t, "asked")
	q := store.EventQuery{Limit: rapid.SampledFrom([]int{0, 1, 5}).Draw(t, "limit"), AfterPosition: int64(rapid.IntRange(0, 40).Draw(t, "after"))}
	switch rapid.IntRange(0, 4).Draw(t, "filter") {
	case 0:
		q.Run = s.Run
	case 1:
		q.Stream, q.AfterSequence = mgx.StreamID(s.Run), 2
	case 2:
		q.Stream = "other"
	case 3:
		q.Types = []string{"tool.*"}
	}
	var told [2]string
	for i, s := range p.stores {
		told[i] = p.answers(s, q)
	}
	if told[0] != told[1] {
		t.Fatalf("they differ:\n%s\n%s", told[0], told[1])
	}
}

func (p *pair) answers(s RetentionStore, q store.EventQuery) string {
	events, err := s.Events(p.t.Context(), q)
	if err != nil {
		p.t.Fatal(err)
	}
	every, err := s.Events(p.t.Context(), store.EventQuery{})
	if err != nil {
		p.t.Fatal(err)
	}
	runs, err := s.Runs(p.t.Context(), store.RunQuery{Workspace: ws})
	if err != nil {
		p.t.Fatal(err)
	}
	earliest, err := s.Earliest(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	whole, err := json.Marshal([]any{events, every, runs})
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("head %d, earliest %d, asked for %s of %s, %x", p.head(s), earliest, brief(events), brief(every), sha256.Sum256(whole))
}

// brief says which events there are, and which of them are empty.
func brief(events []mgx.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%d", e.Position)
		if e.Erased() {
			b.WriteByte('e')
		}
		b.WriteByte(' ')
	}
	return b.String()
}
