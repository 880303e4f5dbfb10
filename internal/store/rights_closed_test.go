package store_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// writers are one of each kind of act in a workspace, each with a word of it in
// something that it keeps. Each may be done many times, with another number.
func writers(s *store.Store, ws mgx.WorkspaceID, run mgx.Scope) map[string]func(ctx context.Context, n string) error {
	by := mgx.Doer{Workspace: ws, Actor: string(mgx.LocalUser), From: "CANARY"}
	act := func(action string) mgx.Event {
		return mgx.NewAudit(ws, mgx.AuditData{Actor: by.Actor, Action: action, Resource: "x", Decision: mgx.AuditAllowed, Details: &mgx.AuditDetails{From: "CANARY"}})
	}
	tell := func(ctx context.Context, e mgx.Event) error {
		_, err := s.Commit(ctx, mgx.Change{Events: []mgx.Event{e}})
		return err
	}
	return map[string]func(context.Context, string) error{
		"invite": func(ctx context.Context, n string) error {
			return s.Invite(ctx, by, mgx.Invitation{ID: mgx.InvitationID("inv_" + n), Workspace: ws, Email: "CANARY", Role: mgx.RoleViewer, Digest: n, ExpiresAt: mgx.Now().Add(time.Hour)})
		},
		"key": func(ctx context.Context, n string) error {
			return s.CreateKey(ctx, by, mgx.APIKey{ID: mgx.KeyID("key_" + n), Workspace: ws, User: mgx.LocalUser, Name: "CANARY", Digest: fmt.Sprintf("%x", sha256.Sum256([]byte(n))), Scopes: []string{"runs"}})
		},
		"role": func(ctx context.Context, n string) error {
			return s.PutRole(ctx, by, mgx.Role{Workspace: ws, Name: "r" + strings.ToLower(n), Description: "CANARY", Policy: "permit (principal, action, resource is Runs);"})
		},
		"webhook": func(ctx context.Context, n string) error {
			return s.CreateWebhook(ctx, by, mgx.Webhook{ID: mgx.WebhookID("whk_" + n), Workspace: ws, URL: "https://CANARY.example", Types: []string{"run.*"}}, "CANARY")
		},
		"budget": func(ctx context.Context, n string) error {
			_, _, err := s.CreateBudget(ctx, by, mgx.Budget{ID: mgx.BudgetID("bud_" + n), Workspace: ws, Scope: mgx.ScopeUser, ScopeID: "CANARY" + n, Period: mgx.PeriodDay, Limit: mgx.USD})
			return err
		},
		"project": func(ctx context.Context, n string) error {
			_, _, err := s.CreateProject(ctx, by, mgx.Project{ID: mgx.ProjectID("prj_" + n), Name: "CANARY" + n, Path: "/CANARY"})
			return err
		},
		"project setting": func(ctx context.Context, n string) error {
			value := "CANARY"
			return s.ChangeProject(ctx, by, mgx.ProjectID("prj_"+n), "policy", &value)
		},
		"setting": func(ctx context.Context, n string) error {
			return s.ReplaceSettings(ctx, by, "retention.", map[string]string{"retention.CANARY": n})
		},
		"quota": func(ctx context.Context, n string) error {
			most := int64(1000 + len(n))
			return s.SetQuotas(ctx, by, map[mgx.Quota]*int64{mgx.QuotaSecrets: &most})
		},
		"name": func(ctx context.Context, n string) error { return s.RenameWorkspace(ctx, by, ws, "CANARY"+n) },
		"secret": func(ctx context.Context, n string) error {
			err := s.AddWorkspaceKey(ctx, mgx.WorkspaceKey{Workspace: ws, Version: 1, Wrapped: []byte("CANARY")}, act("secret_key.create"))
			if err != nil && !mgx.IsCode(err, mgx.CodeConflict) {
				return err
			}
			return s.AddSecret(ctx, mgx.SealedSecret{SecretInfo: mgx.SecretInfo{Workspace: ws, Name: "CANARY" + n, Version: 1, CreatedAt: mgx.Now()}, Key: 1, Box: []byte("CANARY")}, act("secret.set"))
		},
		"export":    func(ctx context.Context, _ string) error { return tell(ctx, act("workspace.export")) },
		"suspicion": func(ctx context.Context, _ string) error { return tell(ctx, suspicionOf(ws)) },
		"task": func(ctx context.Context, _ string) error {
			id := mgx.NewTaskID()
			e := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: mgx.TaskInfo{ID: id, Title: "CANARY"}})
			e.Workspace, e.Task, e.Stream = ws, id, mgx.StreamID(id)
			return tell(ctx, e)
		},
		"comment": func(ctx context.Context, n string) error {
			return tell(ctx, run.Event(mgx.RunCommentMade, mgx.CommentMadeData{CommentID: n, By: "user_x", File: "CANARY", Text: "CANARY"}))
		},
	}
}

func suspicionOf(ws mgx.WorkspaceID) mgx.Event {
	e := mgx.NewEvent(mgx.SuspiciousActivity, mgx.SuspicionData{Severity: "low", What: "other", Detail: "CANARY"})
	e.Workspace, e.Stream = ws, mgx.StreamID(ws)
	return e
}

// A workspace that is erased takes nothing, whatever it is, while everybody writes and
// afterwards; what they wrote before is gone, and another process is as late.
func TestErasedWorkspaceTakesNothing(t *testing.T) {
	t.Parallel()
	test := func(t *testing.T, path, file string) {
		s := open(t, path, store.Options{Vouch: auditKey.Vouch})
		elsewhere := open(t, path, store.Options{Vouch: auditKey.Vouch})
		settle(t, s, "BYSTANDER")
		space, err := s.CreateWorkspace(t.Context(), owner, mgx.Workspace{ID: mgx.NewID[mgx.WorkspaceID]("ws"), Name: "CANARY"}, mgx.LocalUser)
		must(t, err)
		ws := space.ID
		wrote(t, s, ws, mgx.LocalUser, "CANARY wrote")
		runs, err := s.Runs(t.Context(), store.RunQuery{Workspace: ws})
		must(t, err)
		run := mgx.Scope{Workspace: ws, Task: runs[0].Task.ID, Run: runs[0].ID, Execution: runs[0].Execution}

		var all, begun sync.WaitGroup
		erased := make(chan struct{})
		for i, process := range []*store.Store{s, elsewhere} {
			for name, write := range writers(process, ws, run) {
				begun.Add(1)
				all.Go(func() {
					try := func(n int) error {
						return write(t.Context(), fmt.Sprintf("%d%s%d", i, strings.ReplaceAll(name, " ", ""), n))
					}
					for n := range 100 {
						err := try(n)
						if n == 0 {
							begun.Done()
						}
						if mgx.IsCode(err, mgx.CodeErased) {
							break
						}
						if err != nil && mgx.AsError(err).Kind != mgx.KindUsage { // it has as many as there may be
							t.Errorf("%s: %v", name, err)
						}
					}
					<-erased
					if err := try(100); !mgx.IsCode(err, mgx.CodeErased) {
						t.Errorf("%s: after the erasure it ends with %v", name, err)
					}
				})
			}
		}
		begun.Wait()
		done, err := s.EraseWorkspace(t.Context(), owner, ws)
		if err != nil || !done.ErasedAt.IsZero() {
			t.Errorf("%+v %v", done, err)
		}
		close(erased)
		all.Wait()
		if n := heldAny(t, s, file, "CANARY"); n != 0 {
			t.Errorf("what was written meanwhile is left %d times", n)
		}
		must(t, elsewhere.RecordDenied(t.Context(), mgx.Doer{Workspace: ws, Actor: "user_late", From: "192.0.2.1"}, "secrets.delete", strings.Repeat("é", 400), "forbidden"))
		entries, err := s.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
		must(t, err)
		if last := string(entries[len(entries)-1].Data); !strings.Contains(last, "user_late") || strings.Contains(last, strings.Repeat("é", 101)) {
			t.Errorf("what was denied there is told as %s", last)
		}

		// Erased again it says when that was, and takes what is there all the same.
		if file != "" {
			raw(t, file, `INSERT INTO settings VALUES ('`+string(ws)+`', 'template.x', 'CANARY', 'user_x', 1)`,
				`INSERT INTO members (workspace, user_id, role, created_at, updated_at, granted_by) VALUES ('`+string(ws)+`', 'user_local', 'admin', 1, 1, '')`,
				`UPDATE workspaces SET name = 'CANARY' WHERE id = '`+string(ws)+`'`)
		}
		again, err := s.EraseWorkspace(t.Context(), owner, ws)
		if err != nil || again.ErasedAt.IsZero() || file != "" && again.Members != 1 {
			t.Errorf("again: %+v %v", again, err)
		}
		if n := heldAny(t, s, file, "CANARY"); n != 0 {
			t.Errorf("after it was erased again it is left %d times", n)
		}
		plan, err := s.PlanWorkspaceErasure(t.Context(), ws)
		if err != nil || plan.ErasedAt.IsZero() || plan.Members+plan.Keys+plan.Secrets+plan.Webhooks+plan.Projects != 0 || plan.Name != "erased" {
			t.Errorf("how it stands: %+v %v", plan, err)
		}
		verified(t, s)
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := place(t)
		test(t, path, path)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, newDatabase(t), "")
	})
}

// What was let in before an erasure began is waited for, however long its commit takes,
// and erased with the rest: another process would otherwise commit it behind our back.
func TestErasureWaitsForWriters(t *testing.T) {
	t.Parallel()
	address := newDatabase(t)
	s, elsewhere := open(t, address, store.Options{}), open(t, address, store.Options{})
	settle(t, s, "BYSTANDER")
	ws := mgx.NewID[mgx.WorkspaceID]("ws")
	must2(t)(s.CreateWorkspace(t.Context(), owner, mgx.Workspace{ID: ws, Name: "CANARY"}, mgx.LocalUser))
	db, err := sql.Open("pgx", address)
	must(t, err)
	defer db.Close()
	holds, err := db.BeginTx(t.Context(), nil)
	must(t, err)
	defer holds.Rollback()
	late := suspicionOf(ws)
	must2(t)(holds.Exec(`INSERT INTO event_ids (id, stream, sequence) VALUES ($1, 'x', 1)`, string(late.ID))) // so that it cannot be committed yet

	wrote, erased := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := elsewhere.Commit(t.Context(), mgx.Change{Events: []mgx.Event{late}})
		wrote <- err
	}()
	waiting := func(kind string) func() bool {
		return func() bool {
			return pgtest.SQL(t, address, `SELECT COUNT(*) FROM pg_locks WHERE NOT granted AND locktype = '`+kind+`' AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database())`) != "0"
		}
	}
	until(t, "the writer waits to commit", waiting("transactionid"))
	go func() {
		_, err := s.EraseWorkspace(t.Context(), owner, ws)
		erased <- err
	}()
	until(t, "the erasure waits, or is over", func() bool { return len(erased) > 0 || waiting("advisory")() })
	must(t, holds.Rollback())
	must(t, <-wrote)
	must(t, <-erased)
	if n := held(t, s, "", "CANARY"); n != 0 {
		t.Errorf("it is left %d times", n)
	}
}
