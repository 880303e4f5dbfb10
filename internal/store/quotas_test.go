package store_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// quotaed opens a database with a workspace that has quotas, and runs f with both
// kinds.
func quotaed(t *testing.T, quotas map[mgx.Quota]int64, f func(t *testing.T, s *store.Store, ws mgx.WorkspaceID)) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB) string{"SQLite": place, "PostgreSQL": pgtest.NewDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, where(t), store.Options{})
			by := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "owner"}
			if _, err := s.Found(t.Context(), by, mgx.User{ID: mgx.LocalUser}, mgx.Invitation{ID: "inv_1", Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, Digest: "i", ExpiresAt: mgx.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			w, err := s.CreateWorkspace(t.Context(), by, mgx.Workspace{ID: "ws_small", Name: "small"}, mgx.LocalUser)
			if err != nil {
				t.Fatal(err)
			}
			set := map[mgx.Quota]*int64{}
			for q, n := range quotas {
				set[q] = &n
			}
			by.Workspace = w.ID
			if err := s.SetQuotas(t.Context(), by, set); err != nil {
				t.Fatal(err)
			}
			f(t, s, w.ID)
		})
	}
}

func uses(t testing.TB, s *store.Store, ws mgx.WorkspaceID) map[mgx.Quota]string {
	t.Helper()
	all, err := s.Quotas(t.Context(), ws)
	if err != nil {
		t.Fatal(err)
	}
	out := map[mgx.Quota]string{}
	for _, u := range all {
		limit := "none"
		if u.Limit != nil {
			limit = fmt.Sprint(*u.Limit)
		}
		out[u.Quota] = fmt.Sprintf("%d of %s", u.Used, limit)
	}
	return out
}

// What is set for a workspace is bounded, each kind of it and how often it is changed;
// taking something away is not refused by that.
func TestQuotasOfWhatIsSet(t *testing.T) {
	quotas := map[mgx.Quota]int64{mgx.QuotaSecrets: 1, mgx.QuotaRoles: 1, mgx.QuotaInvitations: 1, mgx.QuotaBudgets: 1, mgx.QuotaChangesADay: 7}
	quotaed(t, quotas, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		in, by := mgx.InWorkspace(t.Context(), ws), mgx.Doer{Workspace: ws, Actor: "a"}
		must(t, s.AddWorkspaceKey(in, mgx.WorkspaceKey{Workspace: ws, Version: 1, Wrapped: []byte("k")}))
		secret := func(name string, version int64) error {
			return s.AddSecret(in, mgx.SealedSecret{SecretInfo: mgx.SecretInfo{Workspace: ws, Name: name, Version: version, CreatedAt: mgx.Now()}, Key: 1, Box: []byte("b")},
				mgx.NewAudit(ws, mgx.AuditData{Actor: "a", Action: "secret.set", Resource: name, Decision: mgx.AuditAllowed}))
		}
		role := func(name, about string) error {
			return s.PutRole(in, by, mgx.Role{Workspace: ws, Name: name, Description: about, Policy: "permit (principal, action, resource is Runs);"})
		}
		invite := func(id string) error {
			return s.Invite(in, by, mgx.Invitation{ID: mgx.InvitationID(id), Workspace: ws, Role: mgx.RoleViewer, Digest: id, ExpiresAt: mgx.Now().Add(time.Hour)})
		}
		budget := func(id string) error {
			_, _, err := s.CreateBudget(in, by, mgx.Budget{ID: mgx.BudgetID(id), Workspace: ws, Scope: mgx.ScopeUser, ScopeID: id, Period: mgx.PeriodDay, Limit: mgx.USD})
			return err
		}
		refused := func(q mgx.Quota, err error) {
			t.Helper()
			if !mgx.IsCode(err, mgx.CodeQuotaReached) || !strings.Contains(mgx.AsError(err).Message, "the quota "+string(q)+" is reached") {
				t.Errorf("one more of %s: %v", q, err)
			}
		}
		must(t, secret("one", 1))
		refused(mgx.QuotaSecrets, secret("two", 1))
		must(t, secret("one", 2))
		must(t, role("one", ""))
		refused(mgx.QuotaRoles, role("two", ""))
		must(t, role("one", "changed"))
		must(t, invite("inv_a"))
		refused(mgx.QuotaInvitations, invite("inv_b"))
		must(t, s.RevokeInvitation(in, by, ws, "inv_a"))
		must(t, budget("one"))
		refused(mgx.QuotaBudgets, budget("two"))
		must(t, invite("inv_c"))
		for q, want := range map[mgx.Quota]string{mgx.QuotaSecrets: "1 of 1", mgx.QuotaRoles: "1 of 1", mgx.QuotaInvitations: "1 of 1", mgx.QuotaBudgets: "1 of 1", mgx.QuotaChangesADay: "7 of 7"} {
			if got := uses(t, s, ws)[q]; got != want {
				t.Errorf("%s: %s, want %s", q, got, want)
			}
		}
		refused(mgx.QuotaChangesADay, role("one", "changed once more"))
		refused(mgx.QuotaChangesADay, secret("one", 3))
		refused(mgx.QuotaChangesADay, s.ReplaceSettings(in, by, "x.", map[string]string{"x.y": "1"}))
		must(t, s.RevokeInvitation(in, by, ws, "inv_c"))
		must(t, s.RemoveRole(in, by, ws, "one"))
		must(t, s.RemoveSecret(in, ws, "one"))
		must(t, s.PutRole(t.Context(), mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "a"}, mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "one", Policy: "permit (principal, action, resource is Runs);"}))
	})
}

// What is beyond a quota is refused with a problem that says which one it is; other
// workspaces have none; who asks many times at once gets no more.
func TestQuotas(t *testing.T) {
	quotaed(t, map[mgx.Quota]int64{mgx.QuotaMembers: 1, mgx.QuotaKeys: 3, mgx.QuotaWebhooks: 1, mgx.QuotaProjects: 0}, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		in := mgx.InWorkspace(t.Context(), ws)
		by := mgx.Doer{Workspace: ws, Actor: "a"}
		refused := func(what string, err error) {
			t.Helper()
			if !mgx.IsCode(err, mgx.CodeQuotaReached) || !strings.Contains(mgx.AsError(err).Message, "mgx workspaces quota ws_small") {
				t.Errorf("one more of %s: %v", what, err)
			}
		}
		var all sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			all.Go(func() {
				errs[i] = s.CreateKey(in, by, mgx.APIKey{ID: mgx.KeyID(fmt.Sprint("key_", i)), Workspace: ws, User: mgx.LocalUser, Digest: fmt.Sprintf("%064d", i), Scopes: []string{"*"}})
			})
		}
		all.Wait()
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				refused("keys", err)
			}
		}
		if made != 3 {
			t.Errorf("%d keys were made", made)
		}
		if err := s.CreateWebhook(in, by, mgx.Webhook{ID: "whk_1", Workspace: ws, URL: "https://example.com"}, "s"); err != nil {
			t.Error(err)
		}
		refused("webhooks", s.CreateWebhook(in, by, mgx.Webhook{ID: "whk_2", Workspace: ws, URL: "https://example.com"}, "s"))
		_, _, err := s.CreateProject(in, by, mgx.Project{ID: "prj_1", Name: "p", Path: "/p"})
		refused("projects", err)
		other := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "a"}
		if _, _, err := s.CreateProject(t.Context(), other, mgx.Project{ID: "prj_1", Name: "p", Path: "/p"}); err != nil {
			t.Error(err)
		}
		got := uses(t, s, ws)
		for q, want := range map[mgx.Quota]string{mgx.QuotaMembers: "1 of 1", mgx.QuotaKeys: "3 of 3", mgx.QuotaWebhooks: "1 of 1", mgx.QuotaProjects: "0 of 0", mgx.QuotaRunsADay: "0 of none"} {
			if got[q] != want {
				t.Errorf("%s: %s, want %s", q, got[q], want)
			}
		}
		// The owner of the installation raises it, which the audit log has.
		if err := s.SetQuotas(t.Context(), by, map[mgx.Quota]*int64{mgx.QuotaKeys: nil, mgx.QuotaProjects: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateKey(in, by, mgx.APIKey{ID: "key_more", Workspace: ws, User: mgx.LocalUser, Digest: strings.Repeat("e", 64), Scopes: []string{"*"}}); err != nil {
			t.Error(err)
		}
		entries, err := s.AuditEntries(t.Context(), ws, 0)
		if err != nil || !slices.ContainsFunc(entries, func(e mgx.Event) bool {
			return strings.Contains(string(e.Data), `"quota.update"`) && strings.Contains(string(e.Data), `"before":{"keys":3,"projects":0},"after":{"projects":1}`)
		}) {
			t.Errorf("the audit log does not say what became of the quotas: %v", err)
		}
		if err := s.SetQuotas(t.Context(), mgx.Doer{Workspace: "ws_nobody", Actor: "a"}, nil); !mgx.IsCode(err, mgx.CodeNotFound) {
			t.Errorf("quotas of a workspace that there is not: %v", err)
		}
	})
}

// Only so many runs begin in a day, and of those only so many are worked on at once:
// the others are due when there is room, each in its turn.
func TestQuotasOfRuns(t *testing.T) {
	quotaed(t, map[mgx.Quota]int64{mgx.QuotaRunsADay: 4, mgx.QuotaRunsAtOnce: 2}, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		at := mgx.Now()
		var runs []mgx.RunID
		for i := range 5 {
			sc := mgx.Scope{Workspace: ws, Run: mgx.NewRunID(), Execution: mgx.NewExecutionID()}
			_, err := s.Commit(mgx.InWorkspace(t.Context(), ws), mgx.Change{Create: []mgx.Execution{{Scope: sc, Workflow: "w", WakeAt: at.Add(time.Duration(i-9) * time.Second), CreatedAt: at}}})
			if i < 4 && err != nil || i == 4 && !mgx.IsCode(err, mgx.CodeQuotaReached) {
				t.Errorf("run %d of the day: %v", i+1, err)
			}
			runs = append(runs, sc.Run)
		}
		due := func() (all []mgx.RunID) {
			list, err := s.DueRuns(t.Context(), mgx.Now(), 100)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range list {
				all = append(all, d.Run)
			}
			return all
		}
		claim := func(run mgx.RunID) (mgx.Lease, bool) {
			x, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: "o", TTL: time.Hour, Now: mgx.Now(), Run: run})
			if err != nil {
				t.Fatal(err)
			}
			return mgx.Lease{Execution: x.Execution, Owner: "o", Term: x.Term}, ok
		}
		if got := due(); !slices.Equal(got, runs[:2]) {
			t.Errorf("due are %v, want the first two of %v", got, runs)
		}
		first, ok := claim(runs[0])
		if !ok {
			t.Fatal("the first run does not begin")
		}
		if _, ok := claim(runs[1]); !ok {
			t.Fatal("the second run does not begin")
		}
		if _, ok := claim(runs[2]); ok {
			t.Error("a third run is worked on")
		}
		if got := due(); slices.Contains(got, runs[2]) || slices.Contains(got, runs[3]) {
			t.Errorf("due are %v of %v while two are worked on", got, runs)
		}
		if got := uses(t, s, ws); got[mgx.QuotaRunsAtOnce] != "2 of 2" || got[mgx.QuotaRunsADay] != "4 of 4" {
			t.Errorf("in use are %v", got)
		}
		_, err := s.Commit(t.Context(), mgx.Change{Lease: &first, Update: &mgx.ExecutionUpdate{Execution: first.Execution, Status: mgx.ExecDone}})
		if err != nil {
			t.Fatal(err)
		}
		if got := due(); !slices.Contains(got, runs[2]) || slices.Contains(got, runs[3]) {
			t.Errorf("due are %v of %v when one has ended", got, runs)
		}
		if _, ok := claim(runs[2]); !ok {
			t.Error("the third run does not begin when one has ended")
		}
	})
}

// A person begins only so many runs in a day, however many ask at once; another one
// begins theirs.
func TestQuotaOfRunsOfEach(t *testing.T) {
	quotaed(t, map[mgx.Quota]int64{mgx.QuotaRunsADayEach: 3}, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		begin := func(user mgx.UserID) error {
			sc := mgx.Scope{Workspace: ws, Run: mgx.NewRunID(), Execution: mgx.NewExecutionID(), User: user}
			_, err := s.Commit(mgx.InWorkspace(t.Context(), ws), mgx.Change{Create: []mgx.Execution{{Scope: sc, Workflow: "w"}}})
			return err
		}
		var all sync.WaitGroup
		errs := make(chan error, 8)
		for range cap(errs) {
			all.Go(func() { errs <- begin("user_a") })
		}
		all.Wait()
		close(errs)
		begun := 0
		for err := range errs {
			if err == nil {
				begun++
			} else if !mgx.IsCode(err, mgx.CodeQuotaReached) {
				t.Error(err)
			}
		}
		if err := begin("user_b"); begun != 3 || err != nil {
			t.Errorf("one person has begun %d runs, and another: %v", begun, err)
		}
		if got := uses(t, s, ws); got[mgx.QuotaRunsADayEach] != "3 of 3" || got[mgx.QuotaRunsADay] != "4 of none" {
			t.Errorf("in use are %v", got)
		}
	})
}

// What people are told no workspace can have more of is what the store holds to, below a
// quota that is higher; one that is as high says so itself.
func TestQuotasKnowTheBounds(t *testing.T) {
	quotaed(t, map[mgx.Quota]int64{mgx.QuotaRoles: 1000, mgx.QuotaWebhooks: 1000, mgx.QuotaTemplates: 1000}, func(t *testing.T, s *store.Store, ws mgx.WorkspaceID) {
		in, by := mgx.InWorkspace(t.Context(), ws), mgx.Doer{Workspace: ws, Actor: "a"}
		makes := map[mgx.Quota]func(i int) error{
			mgx.QuotaRoles: func(i int) error {
				return s.PutRole(in, by, mgx.Role{Workspace: ws, Name: fmt.Sprint("role-", i), Policy: "permit (principal, action, resource is Runs);"})
			},
			mgx.QuotaWebhooks: func(i int) error {
				return s.CreateWebhook(in, by, mgx.Webhook{ID: mgx.WebhookID(fmt.Sprint("whk_", i)), Workspace: ws, URL: "https://example.com"}, "s")
			},
			mgx.QuotaTemplates: func(i int) error {
				return s.ChangeSettings(in, by, "template.create", "tpl", "template.", func(was map[string]string) (map[string]string, error) {
					all := maps.Clone(was)
					all[fmt.Sprint("template.tpl_", i)] = "{}"
					return all, nil
				})
			},
		}
		for q, one := range makes {
			most := int(q.Most())
			for i := range most {
				must(t, one(i))
			}
			if err := one(most); !mgx.IsCode(err, "too_many_"+string(q)) || !strings.Contains(err.Error(), fmt.Sprintf("at most %d ", most)) {
				t.Errorf("one more of %d %s: %v", most, q, err)
			}
			must(t, s.SetQuotas(t.Context(), by, map[mgx.Quota]*int64{q: new(int64(most))}))
			if err := one(most); !mgx.IsCode(err, mgx.CodeQuotaReached) {
				t.Errorf("one more of %d %s, which is the quota: %v", most, q, err)
			}
			if got := uses(t, s, ws)[q]; got != fmt.Sprintf("%d of %d", most, most) {
				t.Errorf("%s: %s", q, got)
			}
			must(t, s.SetQuotas(t.Context(), by, map[mgx.Quota]*int64{q: nil}))
			if err := one(most); !mgx.IsCode(err, "too_many_"+string(q)) {
				t.Errorf("one more of %d %s, without a quota: %v", most, q, err)
			}
		}
		for q, listed := range map[mgx.Quota]int64{mgx.QuotaMembers: store.MaxMembers, mgx.QuotaInvitations: store.MaxInvitations, mgx.QuotaProjects: store.MaxProjects} {
			if q.Most() > listed {
				t.Errorf("of %d %s a list shows %d", q.Most(), q, listed)
			}
		}
	})
}

// A workspace begins to send only so many events to its webhooks on a day, however many
// of them go at once; what was begun twice counts, and the next day begins anew.
func TestQuotaOfDeliveries(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB) string{"SQLite": place, "PostgreSQL": pgtest.NewDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var later atomic.Int64
			now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
			s, ws := open(t, where(t), store.Options{Now: now}), mgx.DefaultWorkspace
			by := mgx.Doer{Workspace: ws, Actor: "a"}
			must(t, s.SetQuotas(t.Context(), by, map[mgx.Quota]*int64{mgx.QuotaDeliveriesADay: new(int64(10))}))
			sends := func(id mgx.WebhookID) func() error {
				must(t, s.CreateWebhook(t.Context(), by, mgx.Webhook{ID: id, Workspace: ws, URL: "https://example.com"}, "s"))
				l, ok, err := s.ClaimWebhook(t.Context(), mgx.WebhookLease{Webhook: id}, "o", now().Add(time.Hour))
				if must(t, err); !ok {
					t.Fatal("the endpoint is somebody else's")
				}
				return func() error {
					var two []mgx.Event
					for range 2 {
						e := mgx.NewEvent("test.said", map[string]int{})
						e.Workspace, e.Stream = ws, "task_1"
						two = append(two, e)
					}
					done, err := s.Commit(t.Context(), mgx.Change{Events: two})
					must(t, err)
					return s.AddDeliveries(t.Context(), l, done.Events, 1)
				}
			}
			one, other := sends("whk_1"), sends("whk_2")
			var all sync.WaitGroup
			errs := make(chan error, 16)
			for i := range cap(errs) {
				all.Go(func() { errs <- []func() error{one, other}[i%2]() })
			}
			all.Wait()
			close(errs)
			begun := 0
			for err := range errs {
				if err == nil {
					begun += 2
				} else if !mgx.IsCode(err, mgx.CodeQuotaReached) {
					t.Error(err)
				}
			}
			left, err := s.DeliveriesLeft(t.Context(), ws)
			if must(t, err); begun != 10 || left != 0 || uses(t, s, ws)[mgx.QuotaDeliveriesADay] != "10 of 10" {
				t.Errorf("begun were %d, and %d are left; %s", begun, left, uses(t, s, ws)[mgx.QuotaDeliveriesADay])
			}
			later.Store(int64(24 * time.Hour))
			if left, err := s.DeliveriesLeft(t.Context(), ws); err != nil || left != 10 {
				t.Errorf("the day after %d are left, %v", left, err)
			}
			if got := uses(t, s, ws)[mgx.QuotaDeliveriesADay]; got != "0 of 10" {
				t.Errorf("the day after it is %s", got)
			}
		})
	}
}
