package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

// keeper is a workspace in which runs begin, say and record things, end, and go.
type keeper struct {
	*rapid.T
	s     *store.Store
	ws    mgx.WorkspaceID
	going []mgx.Scope
	ended []mgx.Scope
	n     int
}

// What a workspace is said to keep is what is there, whatever was appended,
// recorded, refused, repeated, erased and retained, in whatever order.
func TestStoredIsWhatIsThere(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		s.SetKeep(keep) // so that events have classes, as those of servers
		checkFew(t, often(12, 100), func(rt *rapid.T) {
			k := &keeper{T: rt, s: s, ws: mgx.NewID[mgx.WorkspaceID]("ws")}
			k.begin()
			rt.Repeat(map[string]func(*rapid.T){
				"begin": func(*rapid.T) { k.begin() }, "say": func(*rapid.T) { k.say() }, "record": func(*rapid.T) { k.record() }, "refuse": func(*rapid.T) { k.refuse() },
				"end": func(*rapid.T) { k.end() }, "erase": func(*rapid.T) { k.erase() }, "retain": func(*rapid.T) { k.retain() }, "together": func(*rapid.T) { k.together() },
				"": func(*rapid.T) {},
			})
			if got, want := used(rt, s, k.ws), k.there(); got != want {
				rt.Fatalf("%d bytes are counted, and there are %d", got, want)
			}
		})
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func (k *keeper) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *keeper) commit(c mgx.Change) {
	k.Helper()
	_, err := k.s.Commit(k.Context(), c)
	k.must(err)
}

func (k *keeper) text(name string) string {
	return rapid.SampledFrom([]string{"a", "ärger", "\"quoted\" <text>\n", strings.Repeat("long ", 300)}).Draw(k.T, name)
}

func (k *keeper) begin() {
	sc := newScope()
	sc.Workspace = k.ws
	d := mgx.RunCreatedData{Task: mgx.TaskInfo{ID: sc.Task, Title: k.text("title")}}
	for range rapid.IntRange(0, 2).Draw(k.T, "attachments") {
		d.Settings.Attachments = append(d.Settings.Attachments, mgx.Attachment{Name: "a", Size: rapid.Int64Range(0, 1<<40).Draw(k.T, "size")})
	}
	k.commit(mgx.Change{
		Create: []mgx.Execution{{Scope: sc, Workflow: "team"}},
		Events: []mgx.Event{sc.Event(mgx.RunCreated, d)},
		Steps:  []mgx.StepRecord{{Execution: sc.Execution, Name: "taken over", Kind: mgx.StepWork, Output: []byte(`"x"`)}},
	})
	k.going = append(k.going, sc)
}

// one is a run that goes on; false: there is none.
func (k *keeper) one() (mgx.Scope, bool) {
	if len(k.going) == 0 {
		return mgx.Scope{}, false
	}
	return rapid.SampledFrom(k.going).Draw(k.T, "run"), true
}

func (k *keeper) say() {
	if sc, ok := k.one(); ok {
		k.commit(mgx.Change{Events: []mgx.Event{note(sc, k.text("said")), sc.Event(mgx.ToolCalled, mgx.ToolCallData{CallID: k.text("call")})}})
	}
}

func (k *keeper) step(sc mgx.Scope) mgx.StepRecord {
	k.n++
	quoted, _ := json.Marshal(k.text("output"))
	return mgx.StepRecord{Execution: sc.Execution, Name: fmt.Sprint("step", k.n), Kind: mgx.StepWork, Input: k.text("input"), Output: quoted}
}

// record records steps, with an event of the run, without, and as those of a child.
func (k *keeper) record() {
	sc, ok := k.one()
	if !ok {
		return
	}
	c := mgx.Change{Steps: []mgx.StepRecord{k.step(sc), {Execution: sc.Execution, Name: fmt.Sprint("failed", k.n), Kind: mgx.StepWork, Failure: &mgx.Error{Kind: mgx.KindGoal, Code: "x", Message: "words"}}}}
	if rapid.Bool().Draw(k.T, "with an event") {
		c.Events = []mgx.Event{note(sc, k.text("said"))}
	}
	if rapid.Bool().Draw(k.T, "of a child") {
		child := sc
		child.Execution = mgx.NewExecutionID()
		c.Create = []mgx.Execution{{Scope: child, Workflow: "child", Parent: sc.Execution, ParentStep: fmt.Sprint(k.n)}}
		c.Steps = append(c.Steps, k.step(child))
	}
	k.commit(c)
}

// refuse makes a change of which nothing comes, and says something twice.
func (k *keeper) refuse() {
	sc, ok := k.one()
	if !ok {
		return
	}
	step := k.step(sc)
	k.commit(mgx.Change{Steps: []mgx.StepRecord{step}})
	if _, err := k.s.Commit(k.Context(), mgx.Change{Events: []mgx.Event{note(sc, "for nothing")}, Steps: []mgx.StepRecord{step}}); !mgx.IsCode(err, mgx.CodeAlreadyRecorded) {
		k.Fatalf("recorded twice: %v", err)
	}
	e := note(sc, "once")
	k.commit(mgx.Change{Events: []mgx.Event{e}})
	k.commit(mgx.Change{Events: []mgx.Event{e}})
}

func (k *keeper) end() {
	sc, ok := k.one()
	if !ok {
		return
	}
	for _, x := range k.executions(sc.Run) {
		k.commit(mgx.Change{Update: &mgx.ExecutionUpdate{Execution: x.Execution, Status: mgx.ExecDone}})
	}
	k.commit(mgx.Change{Events: []mgx.Event{sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})}})
	var left []mgx.Scope
	for _, other := range k.going {
		if other != sc {
			left = append(left, other)
		}
	}
	k.going, k.ended = left, append(k.ended, sc)
}

func (k *keeper) erase() {
	if len(k.ended) > 0 {
		sc := rapid.SampledFrom(k.ended).Draw(k.T, "erased")
		_, err := k.s.Erase(k.Context(), store.Subject{Workspace: k.ws, Run: sc.Run}, "somebody")
		k.must(err)
	}
}

func (k *keeper) retain() {
	_, err := k.s.Retain(k.Context(), monthEnd(mgx.Now()).Add(61*day), store.Retention{Keep: keep})
	k.must(err)
}

// together does many things to the same runs at once, in one transaction or in
// several.
func (k *keeper) together() {
	var all sync.WaitGroup
	errs := make(chan error, 64)
	for range 6 {
		for _, sc := range k.going {
			k.n++
			c := mgx.Change{Steps: []mgx.StepRecord{{Execution: sc.Execution, Name: fmt.Sprint("step", k.n), Kind: mgx.StepWork, Output: []byte(`"together"`)}}}
			if k.n%2 > 0 {
				c.Events = []mgx.Event{note(sc, "together")}
			}
			all.Go(func() {
				_, err := k.s.Commit(k.Context(), c)
				errs <- err
			})
			if len(k.going)*6 > 60 {
				break
			}
		}
	}
	if len(k.ended) > 0 {
		all.Go(func() {
			_, err := k.s.Erase(k.Context(), store.Subject{Workspace: k.ws, Run: k.ended[0].Run}, "somebody")
			errs <- err
		})
	}
	all.Go(func() {
		_, err := k.s.Retain(k.Context(), monthEnd(mgx.Now()).Add(61*day), store.Retention{Keep: keep})
		errs <- err
	})
	all.Wait()
	close(errs)
	for err := range errs {
		if !mgx.IsCode(err, store.CodeBusy) { // who reads keeps erasing and retaining waiting
			k.must(err)
		}
	}
}

func (k *keeper) executions(run mgx.RunID) []mgx.Execution {
	all, err := k.s.Executions(k.Context(), store.ExecutionQuery{Run: run})
	k.must(err)
	return all
}

// events are those of a run, once the last of them is in the log.
func (k *keeper) events(run mgx.Run) []mgx.Event {
	for {
		changed := k.s.Changed()
		all, err := k.s.Events(k.Context(), store.EventQuery{Stream: mgx.StreamID(run.ID)})
		k.must(err)
		if len(all) > 0 && all[len(all)-1].Sequence == run.Sequence {
			return all
		}
		select {
		case <-changed:
		case <-k.Context().Done():
			k.Fatal(k.Context().Err())
		}
	}
}

// there adds up what there is, as it is read.
func (k *keeper) there() (n int64) {
	for _, sc := range append(k.going, k.ended...) {
		run, err := k.s.Run(k.Context(), k.ws, sc.Run)
		k.must(err)
		for _, a := range run.Settings.Attachments {
			n += a.Size
		}
		for _, e := range k.events(run) {
			n += int64(len(e.Data))
		}
		for _, x := range k.executions(sc.Run) {
			journal, err := k.s.Journal(k.Context(), x.Execution)
			k.must(err)
			for _, r := range journal {
				n += int64(len(r.Input) + len(r.Output))
				if r.Failure != nil {
					failure, _ := json.Marshal(r.Failure)
					n += int64(len(failure))
				}
			}
		}
	}
	return n
}

// test is what a test and an example of one have in common here.
type test interface {
	Context() context.Context
	Fatal(args ...any)
}

func used(t test, s *store.Store, ws mgx.WorkspaceID) int64 {
	all, err := s.Quotas(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range all {
		if u.Quota == mgx.QuotaStoredBytes {
			return u.Used
		}
	}
	t.Fatal("nothing says what is stored")
	return 0
}

// Who keeps as much as they may begins nothing more, and what they have begun goes
// on. Erasing, and a higher quota, make room at once.
func TestStoredQuota(t *testing.T) {
	quotaed(t, map[mgx.Quota]int64{mgx.QuotaStoredBytes: 20_000}, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		begin := func() (mgx.Scope, error) {
			sc := newScope()
			sc.Workspace = ws
			_, err := s.Commit(mgx.InWorkspace(t.Context(), ws), mgx.Change{
				Create: []mgx.Execution{{Scope: sc, Workflow: "team"}}, Events: []mgx.Event{sc.Event(mgx.RunCreated, mgx.RunCreatedData{})},
			})
			return sc, err
		}
		room := func(bytes int64, want bool) {
			t.Helper()
			err := s.TakeRoom(t.Context(), ws, bytes)
			if want && err != nil || !want && (!mgx.IsCode(err, mgx.CodeQuotaReached) || !strings.Contains(mgx.AsError(err).Message, "mgx erase --run RUN")) {
				t.Errorf("room for %d bytes more: %v", bytes, err)
			}
		}
		sc, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		room(30_000, false)
		room(9_000, true)
		for range 2 { // the second one is beyond
			commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, strings.Repeat("x", 7_000))}})
		}
		if _, err := begin(); !mgx.IsCode(err, mgx.CodeQuotaReached) {
			t.Errorf("a run begins beyond the quota: %v", err)
		}
		room(0, false)
		if _, err := s.Commit(t.Context(), mgx.Change{
			Events: []mgx.Event{note(sc, "it goes on"), sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{})},
			Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecDone},
		}); err != nil {
			t.Errorf("a run that has begun: %v", err)
		}
		if _, err := s.Erase(t.Context(), store.Subject{Workspace: ws, Run: sc.Run}, "somebody"); err != nil {
			t.Fatal(err)
		}
		if n := used(t, s, ws); n > 2_000 {
			t.Errorf("%d bytes are kept of what was erased", n)
		}
		if _, err := begin(); err != nil {
			t.Errorf("after what was there is erased: %v", err)
		}
		by := mgx.Doer{Workspace: ws, Actor: "a"}
		for limit, want := range map[int64]bool{1: false, 1 << 40: true} {
			if err := s.SetQuotas(t.Context(), by, map[mgx.Quota]*int64{mgx.QuotaStoredBytes: &limit}); err != nil {
				t.Fatal(err)
			}
			room(1<<30, want)
		}
	})
}
