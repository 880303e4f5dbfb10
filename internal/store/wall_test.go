package store

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store/pgtest"
)

const (
	wsA mgx.WorkspaceID = "ws_a"
	wsB mgx.WorkspaceID = "ws_b"
)

// towns opens a database with two tenants who have something in every table that a
// tenant can have something in, or most.
func towns(t testing.TB) *Store {
	t.Helper()
	return townsAt(t, pgtest.NewDatabase(t))
}

func townsAt(t testing.TB, address string) *Store {
	t.Helper()
	s, err := Open(t.Context(), address, Options{Keep: map[mgx.EventType]time.Duration{mgx.TaskCreated: 30 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	for _, ws := range []mgx.WorkspaceID{wsA, wsB} {
		seed(t, s, ws)
	}
	return s
}

func seed(t testing.TB, s *Store, ws mgx.WorkspaceID) {
	t.Helper()
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	name := string(ws)
	who := mgx.UserID("user_" + name)
	do(s.write(ctx, func(t *tx) error {
		return t.addUser(mgx.User{ID: who, Email: name + "@example.test", Password: "digest of " + name})
	}))
	installation := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "owner"}
	_, err := s.CreateWorkspace(ctx, installation, mgx.Workspace{ID: ws, Name: name}, who)
	do(err)
	// What the tenant does itself, it does behind the wall.
	ctx = mgx.InWorkspace(ctx, ws)
	by := mgx.Doer{Workspace: ws, Actor: string(who)}
	do(s.CreateKey(ctx, by, mgx.APIKey{ID: mgx.KeyID("key_" + name), Workspace: ws, User: who, Name: "k", Digest: strings.Repeat("d", 60) + name, Scopes: []string{"*"}, Role: mgx.RoleDeveloper}))
	do(s.CreateWebhook(ctx, by, mgx.Webhook{ID: mgx.WebhookID("wh_" + name), Workspace: ws, URL: "https://example.test", Enabled: true}, "secret of "+name))
	do(s.Invite(ctx, by, mgx.Invitation{ID: mgx.InvitationID("inv_" + name), Workspace: ws, Email: "x@example.test", Role: mgx.RoleViewer, Digest: "i" + name, CreatedBy: who, ExpiresAt: mgx.Now().Add(time.Hour)}))
	do(s.PutRole(ctx, by, mgx.Role{Workspace: ws, Name: "reader", Policy: "permit(principal, action, resource);"}))
	_, _, err = s.CreateBudget(ctx, by, mgx.Budget{ID: mgx.BudgetID("bud_" + name), Workspace: ws, Scope: mgx.ScopeWorkspace, ScopeID: string(ws), Period: mgx.PeriodDay, Limit: 1 << 40})
	do(err)
	task := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: mgx.TaskInfo{ID: mgx.TaskID("task_" + name), Title: name}, UserID: string(who)})
	task.Workspace, task.Task, task.Stream = ws, mgx.TaskID("task_"+name), mgx.StreamID("task_"+name)
	scope := mgx.Scope{Workspace: ws, Task: task.Task, Run: mgx.RunID("run_" + name), Execution: mgx.ExecutionID("exec_" + name), User: who}
	_, err = s.Commit(ctx, mgx.Change{
		Events:  []mgx.Event{task, scope.Event(mgx.RunCreated, mgx.RunCreatedData{Task: mgx.TaskInfo{ID: task.Task}})},
		Create:  []mgx.Execution{{Scope: scope, Workflow: "w"}},
		Steps:   []mgx.StepRecord{{Execution: scope.Execution, Order: 1, Name: "s", Kind: "k"}},
		Signals: []mgx.Signal{{ID: mgx.SignalID("sig_" + name), Execution: scope.Execution, Name: "n"}},
		Reserve: &mgx.Reservation{ID: "res_" + name, Workspace: ws, Task: task.Task, Run: scope.Run, User: who, Amount: 5},
	})
	do(err)
	do(s.ChangeProject(ctx, by, "proj", "n", new("v")))
	head, err := s.Head(ctx)
	do(err)
	if _, err := s.Events(ctx, EventQuery{Workspace: ws, AfterPosition: head - 1}); err != nil {
		t.Fatal(err)
	}
}

// tables are those of the schema, and whether they have a workspace.
func tables(t testing.TB, s *Store) map[string]bool {
	t.Helper()
	all, err := list(t.Context(), s, func(row scanner) (r struct {
		name   string
		spaced bool
	}, err error,
	) {
		return r, row.Scan(&r.name, &r.spaced)
	}, `SELECT c.relname, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'workspace' AND NOT a.attisdropped)
		FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace`)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, r := range all {
		out[r.name] = r.spaced
	}
	return out
}

// Every table with a workspace is behind the wall, and of every other one somebody
// has said whose its rows are.
func TestWallAroundEveryTable(t *testing.T) {
	t.Parallel()
	s := towns(t)
	if w := s.Wall(); !w.Stands {
		t.Fatal(w.Why)
	}
	all := tables(t, s)
	if !slices.ContainsFunc(slices.Collect(keysOf(all)), func(n string) bool { return strings.Count(n, "_") == 2 && strings.HasPrefix(n, "events_3") }) {
		t.Errorf("the log has no partition: %v", all)
	}
	for name, spaced := range all {
		what, said := tenancies[name]
		if !spaced && !said {
			t.Errorf("nobody has said whose the rows of %s are; see tenancies", name)
		}
		if !spaced && what.grants == "" {
			continue
		}
		want := []string{"installation", "tenant"}
		if tenancyOf(name, spaced).grants == "" {
			want = want[:1]
		}
		got, err := list(t.Context(), s, func(row scanner) (p string, err error) { return p, row.Scan(&p) }, `SELECT split_part(p.polname, '_', 2) FROM pg_policy p
			JOIN pg_class c ON c.oid = p.polrelid WHERE c.relname = $1 AND c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity AND c.relforcerowsecurity ORDER BY 1`, name)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s has policies %v, want %v (%v)", name, got, want, err)
		}
	}
	for name := range tenancies {
		if _, there := all[name]; !there {
			t.Errorf("there is no table %s", name)
		}
	}
}

func keysOf[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// A query that forgets to name the workspace shows what is the tenant's and nothing
// else, for every table; outside of any workspace it shows nothing.
func TestWallHoldsWhereQueryForgets(t *testing.T) {
	t.Parallel()
	s := towns(t)
	full := 0
	for name, spaced := range tables(t, s) {
		what := tenancyOf(name, spaced)
		if what.own == "true" {
			continue
		}
		everybodys := count(t, t.Context(), s, name)
		mine, others := 0, 0
		for _, ws := range []mgx.WorkspaceID{wsA, wsB, "", "ws_nobody"} {
			ctx := mgx.InWorkspace(t.Context(), ws)
			n := count(t, ctx, s, name)
			switch {
			case what.grants == "" && n >= 0:
				t.Errorf("%s may be read for tenants", name)
			case ws == wsA || ws == wsB:
				mine += max(n, 0)
			case n > 0:
				t.Errorf("%s shows %d rows to %q", name, n, ws)
			}
			if what.grants != "" && spaced {
				row := s.reads.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+name+` WHERE workspace <> $1`, string(ws))
				if err := row.Scan(&others); err != nil || others > 0 {
					t.Errorf("%s shows %d rows of others to %q (%v)", name, others, ws, err)
				}
			}
		}
		if mine > 0 {
			full++
		}
		if mine > everybodys {
			t.Errorf("%s shows %d of %d rows", name, mine, everybodys)
		}
	}
	if full < 18 {
		t.Errorf("only %d tables have rows of tenants: the test shows less than it says", full)
	}
	digest := s.reads.QueryRowContext(mgx.InWorkspace(t.Context(), wsA), `SELECT MAX(password) FROM users`)
	if err := digest.Scan(new(string)); sqlState(err) != "42501" {
		t.Errorf("digests of passwords may be read for tenants: %v", err)
	}
}

// count is how many rows a table shows; -1: it may not be asked.
func count(t testing.TB, ctx context.Context, s *Store, name string) (n int) {
	t.Helper()
	err := s.reads.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+name).Scan(&n)
	if sqlState(err) == "42501" {
		return -1
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// What a tenant writes stays in its workspace, whatever the statement says, and the
// transaction it shares with others is theirs again afterwards.
func TestWallHoldsWriters(t *testing.T) {
	t.Parallel()
	s := towns(t)
	in := mgx.InWorkspace(t.Context(), wsA)
	for name, query := range map[string]string{
		"changes all":    `UPDATE webhooks SET description = 'mine'`,
		"removes all":    `DELETE FROM invitations`,
		"takes over all": `UPDATE runs SET workspace = 'ws_a'`,
		"removes parts":  `DELETE FROM webhook_secrets`,
	} {
		table := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(query, "DELETE FROM ", ""), "UPDATE ", ""))[0]
		before := dump(t, s, table, wsB)
		if err := s.write(in, func(t *tx) error { _, err := t.exec(query); return err }); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if after := dump(t, s, table, wsB); after != before {
			t.Errorf("%s: the other tenant had %s and has %s", name, before, after)
		}
	}
	for name, query := range map[string]string{
		"for another":     `INSERT INTO settings (workspace, name, value, updated_by, updated_at) VALUES ('ws_b', 'n', 'v', '', 0)`,
		"gives away":      `UPDATE webhooks SET workspace = 'ws_b'`,
		"own policy":      `INSERT INTO shared_keys (name, ord, secret, created_at) VALUES ('k', 1, 's', 0)`,
		"writes the log":  `UPDATE events SET data = '{}'`,
		"lowers the wall": `ALTER TABLE runs DISABLE ROW LEVEL SECURITY`,
	} {
		for how, f := range map[string]func(*tx) error{
			"now":   func(t *tx) error { _, err := t.exec(query); return err },
			"later": func(t *tx) error { return t.put(query) },
		} {
			if err := s.write(in, f); err == nil {
				t.Errorf("a tenant %s (%s)", name, how)
			}
		}
	}
	e := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: mgx.TaskInfo{ID: "task_x"}})
	e.Workspace, e.Stream, e.Task = wsB, "task_x", "task_x"
	if _, err := s.Commit(in, mgx.Change{Events: []mgx.Event{e}}); !mgx.IsCode(err, "wrong_workspace") {
		t.Errorf("an event for another tenant: %v", err)
	}
}

// dump is what the installation sees of a tenant in a table.
func dump(t testing.TB, s *Store, table string, ws mgx.WorkspaceID) (all string) {
	t.Helper()
	cond := `workspace = '` + string(ws) + `'`
	if table == "webhook_secrets" {
		cond = `webhook = 'wh_` + string(ws) + `'`
	}
	err := s.reads.QueryRowContext(t.Context(), `SELECT COALESCE(string_agg(x::text, ';' ORDER BY x::text), '') FROM (SELECT * FROM `+table+` WHERE `+cond+`) x`).Scan(&all)
	if err != nil || all == "" {
		t.Fatalf("%s: %q, %v", table, all, err)
	}
	return all
}

// Whatever was asked on a connection before, and however that ended, the next one
// sees its own workspace, and that all the time.
func TestWallLeavesNothingOnConnections(t *testing.T) {
	t.Parallel()
	s := towns(t)
	s.reads.walled.SetMaxOpenConns(2)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 40 {
				ws := []mgx.WorkspaceID{wsA, wsB, ""}[(i+j)%3]
				ctx, stop := context.WithCancel(mgx.InWorkspace(t.Context(), ws))
				if j%7 == 3 { // it ends in the middle of something
					time.AfterFunc(time.Duration(j)*50*time.Microsecond, stop)
				}
				seen, err := seenAs(ctx, s, (i+j)%4)
				canceled := ctx.Err() != nil
				stop()
				if err != nil && canceled {
					continue
				}
				want := string(ws)
				if err != nil || seen != want {
					t.Errorf("for %q a connection shows %q (%v)", ws, seen, err)
				}
			}
		})
	}
	all.Wait()
	if seen, err := seenAs(t.Context(), s, 0); err != nil || seen != "ws_a ws_b" {
		t.Errorf("the installation sees %q (%v)", seen, err)
	}
}

// seenAs lists the workspaces whose keys are seen, in one of several ways.
func seenAs(ctx context.Context, s *Store, way int) (seen string, err error) {
	const query = `SELECT COALESCE(string_agg(DISTINCT workspace, ' ' ORDER BY workspace), '') FROM api_keys`
	switch way {
	case 1: // a transaction that is rolled back
		var tx *sql.Tx
		if tx, err = s.moment(ctx); err == nil {
			err = tx.QueryRowContext(ctx, query).Scan(&seen)
			tx.Rollback()
		}
	case 2: // one that fails
		var tx *sql.Tx
		if tx, err = s.moment(ctx); err == nil {
			err = tx.QueryRowContext(ctx, query).Scan(&seen)
			tx.ExecContext(ctx, `SELECT 1/0`)
			tx.Rollback()
		}
	case 3: // the writers'
		err = s.write(ctx, func(t *tx) error { _, err := t.row(query, nil, &seen); return err })
	default:
		err = s.reads.QueryRowContext(ctx, query).Scan(&seen)
	}
	return seen, err
}

// On a transaction that is of one workspace nothing is asked for another one.
func TestWallTransactionIsOfOneWorkspace(t *testing.T) {
	t.Parallel()
	s := towns(t)
	in := mgx.InWorkspace(t.Context(), wsA)
	tx, err := s.moment(in)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var n int
	if err := tx.QueryRowContext(mgx.InWorkspace(t.Context(), wsB), `SELECT COUNT(*) FROM runs`).Scan(&n); err == nil {
		t.Errorf("another workspace sees %d rows in the transaction of one", n)
	}
	if _, err := s.reads.walled.PrepareContext(in, `SELECT 1`); err == nil {
		t.Error("a statement was prepared behind the wall")
	}
}

// Where mgx is not let make the role it says so and works without; when somebody
// has made it the wall stands at the next start, for an owner who is no superuser.
func TestWallWithoutRights(t *testing.T) {
	t.Parallel()
	address := pgtest.NewDatabase(t)
	admin, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	u, _ := url.Parse(address)
	name := strings.TrimPrefix(u.Path, "/")
	owner := "managed_" + name
	run := func(query string, args ...any) {
		t.Helper()
		if _, err := admin.Exec(fmt.Sprintf(query, args...)); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE ROLE %s LOGIN`, owner)
	run(`ALTER DATABASE %s OWNER TO %s`, name, owner)
	run(`ALTER SCHEMA public OWNER TO %s`, owner)
	u.User = url.User(owner)
	s := townsAt(t, u.String())
	w := s.Wall()
	if w.Stands || !strings.Contains(w.Why, "CREATE ROLE") || !strings.Contains(w.Why, w.Role) {
		t.Fatalf("the wall is %+v", w)
	}
	if seen, err := seenAs(mgx.InWorkspace(t.Context(), wsA), s, 0); err != nil || seen != "ws_a ws_b" {
		t.Errorf("without a wall %q is seen (%v)", seen, err)
	}
	s.Close()
	run(`CREATE ROLE %s NOLOGIN; GRANT %s TO %s`, identifier(w.Role), identifier(w.Role), owner)
	s, err = Open(t.Context(), u.String(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if w := s.Wall(); !w.Stands {
		t.Fatal(w.Why)
	}
	for ws, want := range map[mgx.WorkspaceID]string{wsA: "ws_a", "": ""} {
		for way := range 4 {
			if seen, err := seenAs(mgx.InWorkspace(t.Context(), ws), s, way); err != nil || seen != want {
				t.Errorf("for %q %q is seen (%v)", ws, seen, err)
			}
		}
	}
	if seen, err := seenAs(t.Context(), s, 0); err != nil || seen != "ws_a ws_b" {
		t.Errorf("the owner sees %q (%v)", seen, err)
	}
	// Whoever else is let in by mistake sees nothing.
	run(`CREATE ROLE stranger_%s LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO stranger_%s`, name, name)
	u.User = url.User("stranger_" + name)
	stranger, err := sql.Open("pgx", u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	var n int
	if err := stranger.QueryRow(`SELECT COUNT(*) FROM runs`).Scan(&n); err != nil || n != 0 {
		t.Errorf("a stranger sees %d runs (%v)", n, err)
	}
}
