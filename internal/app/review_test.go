package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/app"
	"mgx/internal/team"
)

const change = `diff --git a/server.go b/server.go
index 1111111..2222222 100644
--- a/server.go
+++ b/server.go
@@ -10,3 +10,3 @@ func serve() {
 	mux := http.NewServeMux()
-	old(mux)
+	handle(mux)
 	listen(mux)
diff --git a/new.go b/new.go
new file mode 100644
--- /dev/null
+++ b/new.go
@@ -0,0 +1,2 @@
+package main
+func handle() {}
diff --git a/logo.png b/logo.png
index 1111111..2222222 100644
Binary files a/logo.png and b/logo.png differ
`

// bench is a run whose branch is ready, and what people say about it.
type bench struct {
	*office
	run mgx.Run
	who access.Actor
}

func newBench(t *testing.T) *bench {
	t.Helper()
	o := newOffice(t)
	o.host.text = change
	b := &bench{office: o, who: as("developer", here)}
	b.run = o.start(b.who, o.project(here, "shop"), "x")
	b.commit(mgx.RunCheckpointed, mgx.CheckpointData{Tree: "tree-1", Step: "s"})
	return b
}

func (b *bench) commit(typ mgx.EventType, data any) {
	b.t.Helper()
	sc := mgx.Scope{Workspace: here, Task: b.run.Task.ID, Run: b.run.ID, Execution: b.run.Execution}
	_, err := b.store.Commit(b.t.Context(), mgx.Change{Events: []mgx.Event{sc.Event(typ, data)}})
	must(b.t, err)
}

// ready has the delivery asked about.
func (b *bench) ready(name string) app.Answer {
	b.t.Helper()
	a := app.Answer{Approval: "decision/" + name, Hash: "sha256:" + name, Approved: true}
	b.commit(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: a.Approval, Effect: "add the branch", Hash: a.Hash, Call: &mgx.ProposedCall{Tool: team.DeliverTool}})
	return a
}

func (b *bench) look() app.Review {
	b.t.Helper()
	r, err := b.work.Review(b.t.Context(), b.who, b.run.ID)
	must(b.t, err)
	return r
}

func (b *bench) file(name string) app.ReviewedFile {
	b.t.Helper()
	all := b.look().Files
	i := slices.IndexFunc(all, func(f app.ReviewedFile) bool { return f.Path == name })
	if i < 0 {
		b.t.Fatalf("there is no %s in %+v", name, all)
	}
	return all[i]
}

func (b *bench) comment(file, side string, line int, text string) app.Comment {
	b.t.Helper()
	c, err := b.work.Comment(b.t.Context(), b.who, b.run.ID, app.NewComment{File: file, Side: side, Line: line, Text: text})
	must(b.t, err)
	return c
}

func (b *bench) approve(name string, yes bool) {
	b.t.Helper()
	must(b.t, b.work.ApproveFile(b.t.Context(), b.who, b.run.ID, name, b.file(name).Digest, yes))
}

// sent are the decisions on an approval.
func (b *bench) sent(name string) (all []team.Decision) {
	b.t.Helper()
	signals, err := b.store.Signals(b.t.Context(), b.run.Execution, name)
	must(b.t, err)
	for _, s := range signals {
		var d team.Decision
		must(b.t, json.Unmarshal(s.Payload, &d))
		all = append(all, d)
	}
	return all
}

// Comments keep a delivery from being approved; requesting changes sends all of them
// and nothing twice.
func TestCommentsReachTheAgents(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	if r := b.look(); len(r.Files) != 3 || len(r.Comments) != 0 || r.ByFile || r.Asked != nil {
		t.Fatalf("%+v", r)
	}
	first := b.comment("server.go", "", 11, "Keep the old\nname.")
	if first.Quote != "\thandle(mux)" || first.Side != app.SideNew {
		t.Errorf("%+v", first)
	}
	b.comment("server.go", app.SideOld, 11, "Why is this gone?")
	gone := b.comment("new.go", app.SideNew, 2, "Never mind.")
	must(t, b.work.CloseComment(ctx, b.who, b.run.ID, gone.ID))
	must(t, b.work.CloseComment(ctx, b.who, b.run.ID, gone.ID))
	for code, n := range map[string]app.NewComment{
		"bad_line": {File: "server.go", Line: 99, Text: "x"}, mgx.CodeNotFound: {File: "other.go", Line: 1, Text: "x"}, "empty_comment": {File: "server.go", Line: 11, Text: " \n"},
		"comment_too_long": {File: "server.go", Line: 11, Text: strings.Repeat("x", 5000)}, "bad_query": {File: "a\x00", Line: 1, Text: "x"},
	} {
		_, err := b.work.Comment(ctx, b.who, b.run.ID, n)
		wantCode(t, err, code)
	}
	yes := b.ready("deliver")
	wantCode(t, b.work.Decide(ctx, b.who, b.run.ID, yes), app.CodeOpenComments)
	yes.Rest = true
	wantCode(t, b.work.Decide(ctx, b.who, b.run.ID, yes), app.CodeOpenComments)
	must(t, b.work.RequestChanges(ctx, b.who, b.run.ID, app.Changes{Reason: "Nearly."}))
	all := b.sent("decision/deliver")
	if len(all) != 1 || !all[0].Changes || all[0].Approved || all[0].Reason != "Nearly." {
		t.Fatalf("%+v", all)
	}
	for _, want := range []string{`1. File "server.go", line 11:`, "   Keep the old\n   name.", `line 11 as it was before your change, which reads "\told(mux)"`, "Why is this gone?"} {
		if !strings.Contains(all[0].Remarks, want) {
			t.Errorf("the agents do not hear %q in %q", want, all[0].Remarks)
		}
	}
	if strings.Contains(all[0].Remarks, "Never mind") {
		t.Error("a closed comment was sent")
	}
	states := map[string]int{}
	for _, c := range b.look().Comments {
		states[c.State]++
	}
	if states[app.CommentSent] != 2 || states[app.CommentClosed] != 1 {
		t.Errorf("%v", states)
	}
	// What was sent holds nothing back any more.
	must(t, b.work.Decide(ctx, b.who, b.run.ID, b.ready("deliver-2")))
	for act, want := range map[string]int{"run.comment by user_developer allowed": 3, "run.comment.close by user_developer allowed": 1, "approval.decide by user_developer allowed": 2} {
		if n := b.count(here, act); n != want {
			t.Errorf("%d entries of %q: %q", n, act, b.acts(here))
		}
	}
}

// An approval of a file is of the file as it is. Once somebody gives one, the
// delivery needs one of each.
func TestApprovalsOfFiles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, yes := t.Context(), b.ready("deliver")
	b.approve("server.go", true)
	if f := b.file("server.go"); f.Approved == nil || f.Approved.By != "user_developer" || f.Lapsed {
		t.Errorf("%+v", f)
	}
	err := b.work.Decide(ctx, b.who, b.run.ID, yes)
	wantCode(t, err, app.CodeNotApproved)
	if !strings.Contains(fmt.Sprint(err), "2 files are not approved as they are") {
		t.Error(err)
	}
	b.approve("new.go", true)
	b.approve("logo.png", true)
	was := b.file("server.go").Digest
	// The team changes a line, and the binary file with it: both approvals are of what is gone.
	b.host.text = strings.Replace(change, "handle(mux)", "serve(mux)", 1)
	b.host.tree = "tree-2"
	if f := b.file("server.go"); f.Approved != nil || !f.Lapsed || f.Digest == was {
		t.Errorf("%+v", f)
	}
	if f := b.file("new.go"); f.Approved == nil {
		t.Errorf("an approval of what has not changed is gone: %+v", f)
	}
	wantCode(t, b.work.Decide(ctx, b.who, b.run.ID, yes), app.CodeNotApproved)
	wantCode(t, b.work.ApproveFile(ctx, b.who, b.run.ID, "server.go", was, true), mgx.CodeConflict)
	wantCode(t, b.work.ApproveFile(ctx, b.who, b.run.ID, "other.go", was, true), mgx.CodeNotFound)
	b.approve("server.go", true)
	b.approve("logo.png", true)
	must(t, b.work.Decide(ctx, b.who, b.run.ID, yes))
}

// Taking all approvals back makes the delivery one decision again.
func TestApprovalsTakenBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	yes := b.ready("deliver")
	b.approve("server.go", true)
	b.approve("server.go", false)
	if r := b.look(); r.ByFile || r.Approved() != 0 {
		t.Errorf("%+v", r)
	}
	must(t, b.work.Decide(t.Context(), b.who, b.run.ID, yes))
}

// Of several who decide at once one does, and the others are told who it was. Who
// comes later is told the same.
func TestOneDecision(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, yes := t.Context(), b.ready("deliver")
	people := []access.Actor{as("developer", here), as("admin", here), owner(here)}
	errs := make([]error, len(people))
	var all sync.WaitGroup
	for i, who := range people {
		all.Go(func() {
			a := yes
			if i == 1 {
				a.Approved, a.Changes, a.Reason = false, true, "Not yet."
			}
			errs[i] = b.work.Decide(ctx, who, b.run.ID, a)
		})
	}
	all.Wait()
	sent := b.sent("decision/deliver")
	if len(sent) != 1 {
		t.Fatalf("%d decisions: %+v", len(sent), sent)
	}
	for i, err := range errs {
		if string(people[i].User) == sent[0].By {
			must(t, err)
			continue
		}
		wantCode(t, err, app.CodeDecided)
		if !strings.Contains(fmt.Sprint(err), sent[0].By) {
			t.Errorf("the loser is not told who decided: %v", err)
		}
	}
	b.commit(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: yes.Approval, Approved: true, By: sent[0].By, Hash: yes.Hash})
	err := b.work.Decide(ctx, as("admin", here), b.run.ID, yes)
	wantCode(t, err, app.CodeDecided)
}

// Where no delivery is asked about, what is requested is said to the run.
func TestChangesOfARunUnderWay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx := t.Context()
	wantCode(t, b.work.RequestChanges(ctx, b.who, b.run.ID, app.Changes{Reason: " "}), "nothing_requested")
	b.comment("new.go", app.SideNew, 1, "Another package, please.")
	for range 2 {
		must(t, b.work.RequestChanges(ctx, b.who, b.run.ID, app.Changes{Reason: "By the way.", Key: "k"}))
	}
	told, err := b.store.Signals(ctx, b.run.Execution, team.MessageSignal)
	must(t, err)
	if len(told) != 1 || !strings.Contains(string(told[0].Payload), "Another package, please.") || !strings.Contains(string(told[0].Payload), "By the way.") {
		t.Fatalf("%d messages: %s", len(told), told)
	}
	if n := b.look().Open(); n != 0 {
		t.Errorf("%d comments are open still", n)
	}
	// A plan is no delivery: changes are requested in other words.
	b.ask(b.run, "plan")
	wantCode(t, b.work.Decide(ctx, b.who, b.run.ID, app.Answer{Approval: "plan", Changes: true, Reason: "x"}), "bad_changes")
	b.commit(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough", By: "user"})
	_, err = b.work.Comment(ctx, b.who, b.run.ID, app.NewComment{File: "new.go", Line: 1, Text: "x"})
	wantCode(t, err, "already_ended")
	wantCode(t, b.work.RequestChanges(ctx, b.who, b.run.ID, app.Changes{Reason: "x"}), "already_ended")
}

// A comment with a key is one, however often and by however many connections it is
// sent.
func TestCommentOfOneKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			if _, err := b.work.Comment(t.Context(), b.who, b.run.ID, app.NewComment{File: "new.go", Line: 1, Text: "x", Key: "k"}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if all := b.look().Comments; len(all) != 1 {
		t.Errorf("%+v", all)
	}
}
