package store_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/store"
)

// story writes a run that has ended, with a word wherever words can be.
func story(t testing.TB, s *store.Store, word string, of mgx.TaskInfo) mgx.Scope {
	t.Helper()
	sc := newScope()
	sc.Task = of.ID
	quoted, _ := json.Marshal(word + strings.Repeat(" long", 2000))
	created := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: of})
	created.Workspace, created.Task, created.Stream = sc.Workspace, sc.Task, mgx.StreamID(sc.Task)
	commit(t, s, mgx.Change{
		Create: []mgx.Execution{{Scope: sc, Workflow: "team", Input: quoted}},
		Events: []mgx.Event{created, sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: of, Repo: mgx.RepoInfo{Path: "/home/" + word}, Settings: mgx.RunSettings{Checks: []string{word}}})},
	})
	for i := range 30 { // leaves earlier rows in many pages
		plan := mgx.Plan{Goal: fmt.Sprint(word, i, strings.Repeat(".", 100*i))}
		commit(t, s, mgx.Change{
			Events: []mgx.Event{sc.Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan}), note(sc, word), sc.Event(mgx.LLMCallCompleted, mgx.LLMCallData{CostUSD: 2, PriceKnown: true})},
			Steps:  []mgx.StepRecord{{Execution: sc.Execution, Name: fmt.Sprint("step", i), Kind: mgx.StepWork, Output: quoted}},
		})
	}
	failure := &mgx.Error{Kind: mgx.KindGoal, Code: "x", Message: word}
	commit(t, s, mgx.Change{
		Steps:   []mgx.StepRecord{{Execution: sc.Execution, Name: "failed", Kind: mgx.StepWork, Failure: failure}},
		Signals: []mgx.Signal{{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: "go", Payload: quoted}},
		Cancel:  &mgx.CancelRequest{Execution: sc.Execution, Why: word},
	})
	commit(t, s, mgx.Change{
		Events: []mgx.Event{sc.Event(mgx.TaskFailed, mgx.TaskErrorData{Kind: mgx.KindRefused, Code: "rejected", Message: word})},
		Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecFailed, Result: quoted, Failure: failure},
	})
	return sc
}

// onBoth runs a test on either database. What is found is the content of the
// files of the first, or the rows of the second.
func onBoth(t *testing.T, test func(t *testing.T, s *store.Store, path string)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := place(t)
		test(t, open(t, path, store.Options{Vouch: auditKey.Vouch}), path)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, open(t, newDatabase(t), store.Options{Vouch: auditKey.Vouch}), "")
	})
}

// held counts a word in everything that the database holds: in the files, where
// it is files, and in every table.
func held(t testing.TB, s *store.Store, path, word string) (n int) {
	t.Helper()
	var file bytes.Buffer
	if _, err := s.WriteBackup(t.Context(), &file, store.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	n = strings.Count(unzip(t, file.Bytes()), word)
	if path == "" {
		return n
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) < 2 {
		t.Fatalf("%v %v", entries, err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		n += bytes.Count(b, []byte(word))
	}
	return n
}

// envelopes are events without data.
func envelopes(t testing.TB, s *store.Store) []mgx.Event {
	t.Helper()
	events, err := s.Events(context.Background(), store.EventQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range events {
		events[i].Data = nil
	}
	return events
}

func TestErase(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		gone := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "SUBJECT", Description: "SUBJECT"}
		stays := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "BYSTANDER"}
		one, two, other := story(t, s, "SUBJECT", gone), story(t, s, "SUBJECT", gone), story(t, s, "BYSTANDER", stays)
		sent, _ := s.Events(t.Context(), store.EventQuery{Run: one.Run, Limit: 1})
		hook(t, s, path, string(sent[0].ID))
		before, bystanders := envelopes(t, s), held(t, s, path, "BYSTANDER")
		if held(t, s, path, "SUBJECT") == 0 || bystanders == 0 {
			t.Fatal("the test finds nothing")
		}
		otherRow, _ := s.Run(t.Context(), other.Workspace, other.Run)
		oneRow, _ := s.Run(t.Context(), one.Workspace, one.Run)

		plan, err := s.PlanErasure(t.Context(), store.Subject{Workspace: one.Workspace, Task: gone.ID})
		must(t, err)
		done, err := s.Erase(t.Context(), store.Subject{Workspace: one.Workspace, Task: gone.ID}, "user_x")
		if err != nil || len(done.Runs) != 2 || done.Task != gone.ID || done.Events == 0 || plan.Events != done.Events {
			t.Fatalf("%+v %v, planned %+v", done, err, plan)
		}
		if n := held(t, s, path, "SUBJECT"); n != 0 {
			t.Errorf("the word is left %d times", n)
		}
		if held(t, s, path, "BYSTANDER") == 0 {
			t.Error("what was not to be erased is gone")
		}
		after := envelopes(t, s)
		if !reflect.DeepEqual(after[:len(before)], before) || len(after) != len(before)+6 {
			t.Errorf("envelopes have changed, or there are not 6 new ones: %d, %d", len(before), len(after))
		}
		for i, e := range after[len(before):] { // two runs and their task, and that each was erased
			if want := []mgx.EventType{mgx.DataErased, mgx.AuditRecorded}[i%2]; e.Type != want {
				t.Errorf("a new %s where %s should be", e.Type, want)
			}
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if row, _ := s.Run(t.Context(), other.Workspace, other.Run); !reflect.DeepEqual(row, otherRow) {
			t.Error("another run's row has changed")
		}
		row, err := s.Run(t.Context(), one.Workspace, one.Run)
		if err != nil || row.ErasedAt.IsZero() || row.NotErased() == nil || row.Status != oneRow.Status || row.Cost != oneRow.Cost || row.Calls != 30 || !row.CreatedAt.Equal(oneRow.CreatedAt) {
			t.Errorf("the row is %+v %v", row, err)
		}
		journal, err := s.Journal(t.Context(), two.Execution)
		if err != nil || len(journal) != 31 || string(journal[0].Output) != string(mgx.Tombstone) || journal[30].Failure.Code != mgx.CodeErased {
			t.Errorf("the journal is %+v %v", journal, err)
		}

		// Again does nothing more; nothing is appended later but what tells of money, which folds on.
		if again, err := s.Erase(t.Context(), store.Subject{Workspace: one.Workspace, Task: gone.ID}, "user_x"); err != nil || again.Events != 0 || len(envelopes(t, s)) != len(after) {
			t.Errorf("again: %+v %v", again, err)
		}
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{one.Event(mgx.ToolCalled, mgx.ToolCallData{})}}); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("an erased run takes a new event: %v", err)
		}
		commit(t, s, mgx.Change{Events: []mgx.Event{one.Event(mgx.BillingUsageAlert, struct{}{})}})
		if row, _ := s.Run(t.Context(), one.Workspace, one.Run); row.ToolCalls != 0 || row.Sequence != after[len(before)].Sequence+1 {
			t.Errorf("went on as %+v", row)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if path != "" { // as versions before let in
			raw(t, path, `UPDATE events SET data = '{"text":"late"}' WHERE type = 'run.noted' AND run = '`+string(one.Run)+`'`)
			if err := s.Verify(t.Context()); !mgx.IsCode(err, store.CodeCorrupt) {
				t.Errorf("new words on an erased run are not found: %v", err)
			}
		}
		if _, err := s.Erase(t.Context(), store.Subject{Workspace: one.Workspace, Run: one.Run}, "user_x"); err != nil {
			t.Error(err)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// hook adds an endpoint and a consumer that said the word when they failed at an
// event.
func hook(t testing.TB, s *store.Store, path, event string) {
	if path == "" {
		return // the rows are written behind the store's back, which the file allows
	}
	raw(t, path, `INSERT INTO webhooks VALUES ('whk_1', 'ws_default', 'https://x', 'd', NULL, NULL, 1, '', NULL, 3, '', NULL, 0, 1, 2)`,
		`INSERT INTO webhook_deliveries VALUES ('whk_1', '`+event+`', 't', 's', 1, 'dead', 1, NULL, 'SUBJECT', 1, 2)`,
		`INSERT INTO webhook_attempts VALUES ('whk_1', '`+event+`', 1, 2, 3, 500, 'SUBJECT', 'SUBJECT', NULL)`,
		`INSERT INTO consumers VALUES ('x', 0, '', NULL, 0, '`+event+`', 1, 'SUBJECT', NULL, 0, 0, 0, NULL, 1, 2)`,
		`INSERT INTO consumer_dead VALUES ('x', '`+event+`', 'ws_default', 't', 's', 1, 6, 'SUBJECT', NULL, 1, 2)`)
}

// Erased and aged, in either order.
func TestEraseAndRetain(t *testing.T) {
	t.Parallel()
	for _, eraseFirst := range []bool{true, false} {
		path := place(t)
		s := open(t, path, store.Options{})
		sc := story(t, s, "SUBJECT", mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "SUBJECT"})
		erase := func() {
			if _, err := s.Erase(t.Context(), store.Subject{Workspace: sc.Workspace, Run: sc.Run}, "user_x"); err != nil {
				t.Fatal(err)
			}
		}
		if eraseFirst {
			erase()
		}
		if done, err := s.Retain(t.Context(), mgx.Now().Add(61*day), store.Retention{Keep: keep}); err != nil || done.Removed == 0 {
			t.Fatalf("%+v %v", done, err)
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if !eraseFirst {
			erase()
		}
		if err := s.Verify(t.Context()); err != nil {
			t.Error(err)
		}
		if n := held(t, s, path, "SUBJECT"); n != 0 {
			t.Errorf("the word is left %d times", n)
		}
		if row, _ := s.Run(t.Context(), sc.Workspace, sc.Run); row.Calls != 30 || row.ErasedAt.IsZero() {
			t.Errorf("the row is %+v", row)
		}
	}
}

// An erasure that was cut off after it was recorded is finished by the next.
func TestEraseGoesOn(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	sc := story(t, s, "SUBJECT", mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "SUBJECT"})
	commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.DataErased, mgx.DataErasedData{Subject: string(sc.Run)})}})
	if err := s.Verify(t.Context()); !mgx.IsCode(err, store.CodeCorrupt) {
		t.Errorf("half an erasure is not found: %v", err)
	}
	if _, err := s.Erase(t.Context(), store.Subject{Workspace: sc.Workspace, Run: sc.Run}, "user_x"); err != nil {
		t.Fatal(err)
	}
	events := envelopes(t, s)
	if n := len(slices.DeleteFunc(events, func(e mgx.Event) bool { return e.Type != mgx.DataErased || e.Run == "" })); n != 1 {
		t.Errorf("it is recorded %d times", n)
	}
	if n := held(t, s, path, "SUBJECT"); n != 0 {
		t.Errorf("the word is left %d times", n)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestEraseRefuses(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	going := begin(t, s)
	task := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "t"}
	one, two := story(t, s, "SUBJECT", task), story(t, s, "SUBJECT", task)
	for _, c := range []struct {
		subject store.Subject
		code    string
	}{
		{store.Subject{Workspace: going.Workspace, Run: going.Run}, "run_not_ended"},
		{store.Subject{Workspace: going.Workspace, Task: going.Task}, "run_not_ended"},
		{store.Subject{Workspace: "ws_other", Run: one.Run}, mgx.CodeNotFound},
		{store.Subject{Workspace: "ws_other", Task: task.ID}, mgx.CodeNotFound},
		{store.Subject{Workspace: one.Workspace, Task: "task_none"}, mgx.CodeNotFound},
		{store.Subject{Workspace: one.Workspace, Run: "run_none"}, mgx.CodeNotFound},
	} {
		if _, err := s.Erase(t.Context(), c.subject, "user_x"); !mgx.IsCode(err, c.code) {
			t.Errorf("%+v: %v", c.subject, err)
		}
	}
	// One of two runs leaves the task, and the other, as they are.
	plan, err := s.Erase(t.Context(), store.Subject{Workspace: one.Workspace, Run: one.Run}, "user_x")
	if err != nil || plan.Task != "" || len(plan.Runs) != 1 {
		t.Errorf("%+v %v", plan, err)
	}
	if row, _ := s.Run(t.Context(), two.Workspace, two.Run); row.Task.Title != "t" {
		t.Errorf("the other run is %+v", row)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// While somebody reads, old pages must stay in the log; Erase says so rather
// than saying that all is gone.
func TestEraseWhileSomebodyReads(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a reader as long as SQLite does")
	}
	path := place(t)
	s := open(t, path, store.Options{})
	sc := story(t, s, "SUBJECT", mgx.TaskInfo{ID: mgx.NewTaskID(), Title: "SUBJECT"})
	reader := open(t, path, store.Options{ReadOnly: true})
	reading, release := make(chan bool), make(chan bool)
	ended := make(chan error)
	go func() {
		_, err := reader.WriteBackup(t.Context(), blocking{reading, release}, store.BackupOptions{})
		ended <- err
	}()
	<-reading
	_, err := s.Erase(t.Context(), store.Subject{Workspace: sc.Workspace, Run: sc.Run}, "user_x")
	if !mgx.IsCode(err, store.CodeBusy) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-ended; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("the reader: %v", err)
	}
	if _, err := s.Erase(t.Context(), store.Subject{Workspace: sc.Workspace, Run: sc.Run}, "user_x"); err != nil {
		t.Error(err)
	}
	if n := held(t, s, path, "SUBJECT"); n != 0 {
		t.Errorf("the word is left %d times", n)
	}
}

// blocking is a file that a reader is slow to write to, and that then fails.
type blocking struct{ reading, release chan bool }

func (b blocking) Write([]byte) (int, error) {
	select {
	case b.reading <- true:
	case <-b.release:
	}
	<-b.release
	return 0, errors.New("enough")
}

// Every column of text is known to hold words, which erasure must reach, or none.
func TestEveryColumnIsErasedOrHoldsNoWords(t *testing.T) {
	t.Parallel()
	erased := "events.data baselines.state tasks.data task_words.words runs.state executions.input executions.result executions.failure executions.awaits executions.cancel_why " +
		"steps.output steps.failure signals.payload webhook_deliveries.last_error webhook_attempts.error webhook_attempts.response " +
		"consumers.last_error consumer_dead.last_error kept_answers.body"
	wordless := "events.id events.workspace events.stream events.type events.version events.project events.task events.run events.agent events.execution " +
		"events.correlation events.causation events.traceparent baselines.stream baselines.workspace tasks.id tasks.workspace task_words.workspace task_words.task runs.id runs.workspace runs.task runs.status " +
		"executions.id executions.workspace executions.task executions.run executions.parent executions.parent_step executions.workflow executions.status executions.owner " +
		"steps.execution steps.workspace steps.name steps.kind steps.input signals.id signals.workspace signals.execution signals.name " +
		"ledger.id ledger.workspace ledger.run ledger.note " +
		"ledger.project ledger.task ledger.user_id ledger.execution ledger.owner ledger.provider ledger.model ledger.role ledger.price_version ledger.outcome " +
		"executions.project executions.user_id budgets.id budgets.workspace budgets.scope budgets.scope_id budgets.period budgets.thresholds budgets.created_by budgets.updated_by " +
		"budget_periods.budget mgx_schema.name epoch.id shared_keys.name shared_keys.secret " +
		"webhooks.id webhooks.workspace webhooks.url webhooks.description webhooks.types webhooks.channels webhooks.disabled_why webhooks.owner " +
		"webhook_secrets.webhook webhook_secrets.secret webhook_deliveries.webhook webhook_deliveries.event webhook_deliveries.type webhook_deliveries.stream webhook_deliveries.status " +
		"webhook_attempts.webhook webhook_attempts.event " +
		"workspace_keys.workspace secrets.workspace secrets.name secrets.created_by " +
		"api_keys.id api_keys.workspace api_keys.user_id api_keys.name api_keys.digest api_keys.models api_keys.period api_keys.scopes api_keys.role api_keys.old_digest " +
		"users.id users.email users.name users.password identities.issuer identities.subject identities.user_id identities.email workspaces.id workspaces.name " +
		"members.workspace members.user_id members.role members.granted_by roles.workspace roles.name roles.description roles.policy " +
		"sessions.id sessions.user_id sessions.address sessions.agent sessions.revoked_why sessions.kind sessions.issuer sessions.issuer_session session_tokens.digest session_tokens.session session_tokens.kind " +
		"invitations.id invitations.workspace invitations.email invitations.role invitations.user_id invitations.digest invitations.created_by " +
		"projects.workspace projects.id projects.name projects.path projects.within projects.created_by " +
		"revisions.workspace revisions.kind revisions.id kept_answers.workspace kept_answers.actor kept_answers.route kept_answers.key kept_answers.digest kept_answers.made " +
		"settings.workspace settings.name settings.value settings.updated_by attempts.id erasures.subject erasures.begun_by " +
		"project_settings.workspace project_settings.project project_settings.name project_settings.value project_settings.updated_by " +
		"audit_hashes.workspace audit_hashes.hash audit_checkpoints.workspace audit_checkpoints.note " +
		"consumers.name consumers.owner consumers.event consumer_dead.consumer consumer_dead.event consumer_dead.workspace consumer_dead.type consumer_dead.stream"
	known := strings.Fields(erased + " " + wordless)
	for _, name := range textColumns(t) {
		if !slices.Contains(known, name) {
			t.Errorf("nobody has decided whether %s can hold a subject's words: then erase it in erase.go, and say here which", name)
		}
	}
}
