package store_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

var owner = mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: string(mgx.LocalUser), From: "cli"}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// settle founds an installation and has a person join it who leaves traces
// wherever a person can.
func settle(t testing.TB, s *store.Store, word string) mgx.UserID {
	t.Helper()
	ctx := t.Context()
	in := func(digest, email, role string, user mgx.UserID) mgx.Invitation {
		return mgx.Invitation{ID: mgx.NewID[mgx.InvitationID]("inv"), Workspace: mgx.DefaultWorkspace, Email: email, Role: role, User: user, Digest: digest, CreatedBy: mgx.LocalUser, ExpiresAt: mgx.Now().Add(time.Hour)}
	}
	if _, err := s.Found(ctx, owner, mgx.User{ID: mgx.LocalUser, Name: "owner"}, in("first"+string(mgx.NewRunID()), "", mgx.RoleAdmin, mgx.LocalUser)); err != nil {
		t.Fatal(err)
	}
	id := mgx.NewID[mgx.UserID]("user")
	email := strings.ToLower(word) + "&co@example.com"
	session := mgx.Session{ID: mgx.NewID[mgx.SessionID]("ses"), User: id, Address: word, Agent: word, ExpiresAt: mgx.Now().Add(time.Hour)}
	tokens := []mgx.SessionToken{{Digest: "token" + word, Session: session.ID, ExpiresAt: session.ExpiresAt}}
	invited := in("of"+word, email, mgx.RoleDeveloper, "")
	must(t, s.Invite(ctx, owner, invited))
	themselves := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: string(id), From: word, Agent: word}
	must(t, s.Accept(ctx, themselves, mgx.Acceptance{Digest: invited.Digest, New: true, User: mgx.User{ID: id, Email: email, Name: word, Password: "$" + word}, Session: session, Tokens: tokens}))
	key := mgx.APIKey{ID: mgx.NewID[mgx.KeyID]("key"), Workspace: mgx.DefaultWorkspace, User: id, Name: word, Digest: strings.Repeat("a", 64), Scopes: []string{"runs"}}
	must(t, s.CreateKey(ctx, themselves, key))
	byKey := themselves
	byKey.Actor = string(key.ID)
	must(t, s.PutRole(ctx, byKey, mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "r" + strings.ToLower(word[:3]), Policy: "permit (principal, action, resource is Runs);"}))
	must(t, s.Invite(ctx, owner, in("again"+word, email, mgx.RoleViewer, ""))) // and nobody came
	e := mgx.NewEvent(mgx.SuspiciousActivity, mgx.SuspicionData{Severity: "low", Actor: string(id), Address: word, What: "x", Detail: word})
	e.Workspace, e.Stream = mgx.DefaultWorkspace, mgx.StreamID(mgx.DefaultWorkspace)
	commit(t, s, mgx.Change{Events: []mgx.Event{e}})
	must(t, s.KeepAnswer(ctx, mgx.Once{Workspace: mgx.DefaultWorkspace, Actor: string(mgx.LocalUser), Route: "r", Key: word, Digest: "d"}, mgx.KeptAnswer{Status: 201, Body: []byte(`{"email":"` + email + `"}`)}))
	return id
}

// wrote records a task of a person that has ended, with a run that somebody else
// mentions them in.
func wrote(t testing.TB, s *store.Store, ws mgx.WorkspaceID, user mgx.UserID, word string) mgx.TaskID {
	t.Helper()
	sc := newScope()
	sc.Workspace, sc.User = ws, user
	task := mgx.TaskInfo{ID: sc.Task, Title: word, Description: word}
	created := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task, UserID: string(user)})
	created.Workspace, created.Task, created.Stream = ws, sc.Task, mgx.StreamID(sc.Task)
	commit(t, s, mgx.Change{
		Create: []mgx.Execution{{Scope: sc, Workflow: "team", Input: json.RawMessage(`"` + word + `"`)}},
		Events: []mgx.Event{created, sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task})},
	})
	commit(t, s, mgx.Change{
		Events: []mgx.Event{sc.Event(mgx.TaskFailed, mgx.TaskErrorData{Kind: mgx.KindRefused, Code: "rejected", Message: word})},
		Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecFailed, Result: json.RawMessage(`"` + word + `"`)},
	})
	return sc.Task
}

// heldAny counts a word however it is spelt.
func heldAny(t testing.TB, s *store.Store, path, word string) int {
	return held(t, s, path, word) + held(t, s, path, strings.ToLower(word))
}

// Nothing is left of a person who is erased, in no file of the database and no
// backup made afterwards; what was not theirs is as it was, and the audit log
// proves what it proved.
func TestErasePerson(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		gone, stays := settle(t, s, "CANARY"), settle(t, s, "BYSTANDER")
		task := wrote(t, s, mgx.DefaultWorkspace, gone, "CANARY wrote")
		other := wrote(t, s, mgx.DefaultWorkspace, stays, "BYSTANDER asks canary&co@example.com")
		sign(t, s, time.Now())
		if heldAny(t, s, path, "CANARY") < 10 {
			t.Fatal("the test finds nothing")
		}
		var kinds []string
		must(t, s.ExportPerson(t.Context(), gone, func(kind string, record any) error {
			text, err := json.Marshal(record)
			if strings.Contains(string(text), "BYSTANDER") && kind != "event" {
				t.Errorf("%s of another: %s", kind, text)
			}
			for _, secret := range []string{"$CANARY", "ofCANARY", "tokenCANARY", strings.Repeat("a", 64)} {
				if strings.Contains(string(text), secret) {
					t.Errorf("%s holds %s", kind, secret)
				}
			}
			if !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
			return err
		}))
		if want := "user member session key invitation task event"; strings.Join(kinds, " ") != want {
			t.Errorf("exported %v, want %s", kinds, want)
		}

		plan, err := s.PlanPersonErasure(t.Context(), gone)
		if err != nil || plan.Sessions != 1 || plan.Keys != 1 || plan.Invitations != 2 || plan.Events != 1 || plan.Entries < 5 ||
			len(plan.Tasks) != 1 || plan.Tasks[0] != task || len(plan.Mentions) != 1 || plan.Mentions[0] != other || len(plan.Workspaces) != 1 {
			t.Errorf("planned %+v %v", plan, err)
		}
		if _, err := s.ErasePerson(t.Context(), owner, mgx.LocalUser, false); !mgx.IsCode(err, "owner_stays") {
			t.Errorf("the owner: %v", err)
		}

		// Without their tasks, these are all that is left.
		done, err := s.ErasePerson(t.Context(), owner, gone, false)
		if err != nil || done.Entries < plan.Entries {
			t.Fatalf("%+v %v", done, err)
		}
		if _, err := s.User(t.Context(), gone); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("the account: %v", err)
		}
		if _, err := s.ErasePerson(t.Context(), owner, gone, false); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("again: %v", err)
		}
		// An attempt to sign in that was under way meanwhile.
		must(t, s.RecordDenied(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "anonymous", From: "CANARY"}, "session.create", string(gone), "bad_credentials"))
		if late, err := s.ErasePerson(t.Context(), owner, gone, false); err != nil || late.Entries != 1 {
			t.Errorf("what came late: %+v %v", late, err)
		}
		if _, err := s.ErasePerson(t.Context(), owner, gone, false); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("after that: %v", err)
		}
		for _, id := range []mgx.TaskID{task, other} {
			if _, err := s.Erase(t.Context(), store.Subject{Workspace: mgx.DefaultWorkspace, Task: id}, owner.Actor); err != nil {
				t.Fatal(err)
			}
		}
		if n := heldAny(t, s, path, "CANARY"); n != 0 {
			t.Errorf("it is left %d times", n)
		}
		if held(t, s, path, "BYSTANDER") == 0 {
			t.Error("the bystander is gone")
		}
		verified(t, s)
		sign(t, s, time.Now())
		verified(t, s)
	})
}

// verified fails unless the audit log is as it was signed and the database whole.
func verified(t testing.TB, s *store.Store) {
	t.Helper()
	if r := audited(t, s); len(r.Problems) > 0 {
		t.Errorf("the audit log: %v", r.Problems)
	}
	if err := s.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// With their tasks all goes at once. A run that is at work keeps everything as it
// is, and so does being the last admin.
func TestErasePersonWithTasks(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{Vouch: auditKey.Vouch})
	gone := settle(t, s, "CANARY")
	busy := newScope()
	busy.User = gone
	commit(t, s, mgx.Change{
		Create: []mgx.Execution{{Scope: busy, Workflow: "team", Status: mgx.ExecReady, WakeAt: mgx.Now()}},
		Events: []mgx.Event{busy.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: busy.Task}})},
	})
	if _, err := s.ErasePerson(t.Context(), owner, gone, true); !mgx.IsCode(err, "run_not_ended") {
		t.Errorf("at work: %v", err)
	}
	if _, err := s.User(t.Context(), gone); err != nil {
		t.Errorf("refused, and gone all the same: %v", err)
	}
	ws, err := s.CreateWorkspace(t.Context(), owner, mgx.Workspace{ID: "ws_theirs", Name: "CANARY space"}, gone)
	must(t, err)
	if _, err := s.ErasePerson(t.Context(), owner, gone, false); !mgx.IsCode(err, mgx.CodeLastAdmin) {
		t.Errorf("the last admin: %v", err)
	}
	_, err = s.EraseWorkspace(t.Context(), owner, ws.ID)
	must(t, err)

	other := open(t, path, store.Options{})
	gone2 := settle(t, other, "MAGPIE")
	wrote(t, s, mgx.DefaultWorkspace, gone2, "MAGPIE wrote")
	must2(t)(s.ErasePerson(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: string(gone2), From: "MAGPIE"}, gone2, true))
	other.Close()
	if n := heldAny(t, s, path, "MAGPIE"); n != 0 {
		t.Errorf("it is left %d times", n)
	}
	verified(t, s)
}

func must2(t testing.TB) func(any, error) {
	return func(_ any, err error) { t.Helper(); must(t, err) }
}

// Nothing is left of a workspace that is erased but what says nothing; it takes no
// new work, others go on, and what was done is in the log of the installation.
func TestEraseWorkspace(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *store.Store, path string) {
		user := settle(t, s, "BYSTANDER")
		stays := wrote(t, s, mgx.DefaultWorkspace, user, "BYSTANDER")
		ws, err := s.CreateWorkspace(t.Context(), owner, mgx.Workspace{ID: mgx.NewID[mgx.WorkspaceID]("ws"), Name: "CANARY"}, mgx.LocalUser)
		must(t, err)
		by := mgx.Doer{Workspace: ws.ID, Actor: string(mgx.LocalUser), From: "CANARY"}
		wrote(t, s, ws.ID, mgx.LocalUser, "CANARY wrote")
		must(t, s.PutRole(t.Context(), by, mgx.Role{Workspace: ws.ID, Name: "r", Description: "CANARY", Policy: "permit (principal, action, resource is Runs);"}))
		must(t, s.CreateKey(t.Context(), by, mgx.APIKey{ID: "key_x", Workspace: ws.ID, User: mgx.LocalUser, Name: "CANARY", Digest: strings.Repeat("b", 64), Scopes: []string{"runs"}}))
		must(t, s.ReplaceSettings(t.Context(), by, "retention.", map[string]string{"retention.CANARY": "1"}))
		must(t, s.AddWorkspaceKey(t.Context(), mgx.WorkspaceKey{Workspace: ws.ID, Version: 1, Wrapped: []byte("CANARY")}))
		must(t, s.AddSecret(t.Context(), mgx.SealedSecret{SecretInfo: mgx.SecretInfo{Workspace: ws.ID, Name: "CANARY", Version: 1, CreatedAt: mgx.Now()}, Key: 1, Box: []byte("CANARY")}))
		e := mgx.NewEvent(mgx.SuspiciousActivity, mgx.SuspicionData{Severity: "low", What: "x", Detail: "CANARY"})
		e.Workspace, e.Stream = ws.ID, mgx.StreamID(ws.ID)
		commit(t, s, mgx.Change{Events: []mgx.Event{e}})
		kept := func(in mgx.WorkspaceID, key string) (a mgx.KeptAnswer, found bool) {
			a, found, err := s.KeptAnswer(t.Context(), mgx.Once{Workspace: in, Actor: "user_x", Route: "r", Key: key})
			must(t, err)
			return a, found
		}
		keep := func(in mgx.WorkspaceID, key, made, body string) {
			must(t, s.KeepAnswer(t.Context(), mgx.Once{Workspace: in, Actor: "user_x", Route: "r", Key: key}, mgx.KeptAnswer{Made: made, Status: 201, Body: []byte(body)}))
		}
		keep(ws.ID, "inside", "key_x", `{"name":"CANARY"}`)
		keep(mgx.DefaultWorkspace, "made", string(ws.ID), `{"name":"CANARY"}`)
		keep(mgx.DefaultWorkspace, "named", "x", `{"name":"CANARY","workspace_id":"`+string(ws.ID)+`"}`)
		keep(mgx.DefaultWorkspace, "other", "x", `{"name":"BYSTANDER"}`)
		if heldAny(t, s, path, "CANARY") < 10 {
			t.Fatal("the test finds nothing")
		}
		if _, err := s.EraseWorkspace(t.Context(), owner, mgx.DefaultWorkspace); !mgx.IsCode(err, "installation_stays") {
			t.Errorf("the default one: %v", err)
		}
		busy := newScope()
		busy.Workspace = ws.ID
		commit(t, s, mgx.Change{Create: []mgx.Execution{{Scope: busy, Workflow: "team", Status: mgx.ExecReady, WakeAt: mgx.Now()}}, Events: []mgx.Event{busy.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: busy.Task}})}})
		if _, err := s.EraseWorkspace(t.Context(), owner, ws.ID); !mgx.IsCode(err, "run_not_ended") {
			t.Errorf("at work: %v", err)
		}
		commit(t, s, mgx.Change{Events: []mgx.Event{busy.Event(mgx.TaskCancelled, mgx.TaskCancelledData{})}, Update: &mgx.ExecutionUpdate{Execution: busy.Execution, Status: mgx.ExecCancelled}})

		done, err := s.EraseWorkspace(t.Context(), owner, ws.ID)
		if err != nil || done.Tasks != 1 || len(done.Runs) != 2 || done.Name != "CANARY" || done.Members != 1 || done.Secrets != 1 || done.Keys != 1 {
			t.Fatalf("%+v %v", done, err)
		}
		keep(ws.ID, "late", "key_x", `{"name":"CANARY"}`) // of a request that was under way
		for _, key := range []string{"inside", "late"} {
			if a, found := kept(ws.ID, key); found {
				t.Errorf("%s is kept: %+v", key, a)
			}
		}
		for key, status := range map[string]int{"made": 0, "named": 0, "other": 201} { // who asks again does not do it again
			if a, found := kept(mgx.DefaultWorkspace, key); !found || a.Status != status {
				t.Errorf("%s is kept as %+v, %v", key, a, found)
			}
		}
		if gone, err := s.Erased(t.Context(), ws.ID); !gone || err != nil {
			t.Errorf("it is not known to be erased: %v", err)
		}
		if gone, err := s.Erased(t.Context(), mgx.DefaultWorkspace); gone || err != nil {
			t.Errorf("the default one is: %v", err)
		}
		if n := heldAny(t, s, path, "CANARY"); n != 0 {
			t.Errorf("it is left %d times", n)
		}
		if again, err := s.EraseWorkspace(t.Context(), owner, ws.ID); err != nil || again.ErasedAt.IsZero() || again.Members+again.Secrets+again.Keys != 0 {
			t.Errorf("again: %+v %v", again, err)
		}
		fresh := newScope()
		fresh.Workspace = ws.ID
		if _, err := s.Commit(t.Context(), mgx.Change{Create: []mgx.Execution{{Scope: fresh, Workflow: "team"}}}); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("new work: %v", err)
		}
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{{
			ID: mgx.NewEventID(), Type: mgx.TaskCreated, Workspace: ws.ID, Stream: mgx.StreamID(fresh.Task), Time: mgx.Now(), Data: json.RawMessage(fmt.Sprintf(`{"task":{"id":%q}}`, fresh.Task)),
		}}}); !mgx.IsCode(err, mgx.CodeErased) {
			t.Errorf("a new task: %v", err)
		}
		wrote(t, s, mgx.DefaultWorkspace, user, "BYSTANDER more")
		if n, _ := s.Task(t.Context(), mgx.DefaultWorkspace, stays); n.Title != "BYSTANDER" {
			t.Errorf("another's task is %+v", n)
		}
		if at, err := s.LastAct(t.Context(), mgx.DefaultWorkspace, "workspace.erase"); err != nil || at.IsZero() {
			t.Errorf("nobody recorded it: %v", err)
		}
		verified(t, s)
	})
}

// Every table that a workspace has rows in goes with it, or is known to hold
// nothing of it that says anything.
func TestEveryTenantTableIsErased(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("rights_workspace.go")
	must(t, err)
	kept := []string{
		"events", "tasks", "task_words", "runs", "executions", "steps", "signals", "ledger", "baselines", "audit_hashes", "audit_checkpoints", // lose their words, or have none
	}
	for _, column := range textColumns(t) {
		table, name, _ := strings.Cut(column, ".")
		if name == "workspace" && !slices.Contains(kept, table) && !strings.Contains(string(source), `{"`+table+`",`) {
			t.Errorf("nobody has decided what becomes of %s when its workspace is erased", table)
		}
	}
}

// The record of processing names every table that there is.
func TestRecordOfProcessing(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/data-rights.md")
	must(t, err)
	for _, column := range textColumns(t) {
		if table, _, _ := strings.Cut(column, "."); !strings.Contains(string(page), "`"+table+"`") {
			t.Errorf("docs/data-rights.md does not say what the table %s is for, of whom it is and how long it is kept", table)
		}
	}
}
