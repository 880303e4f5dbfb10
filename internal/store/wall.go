package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// The second wall on PostgreSQL. Every query names its workspace; should one
// forget, the database itself shows nothing of another tenant. What is asked on
// behalf of a workspace ([mgx.InWorkspace]) runs as a role that may not log in, for
// which every table with a workspace has a policy of row-level security: the row's
// workspace is that of the setting mgx.workspace. Where that is not set, no row
// is. The installation's own work runs as the role that owns the tables, which is
// subject to the policies too (FORCE) and has one that lets it see everything; any
// other role sees nothing.
//
// What the wall needs is made where it is missing when a database is opened, from
// the catalog: a table that is new has its policies by having a column workspace.

// tenancy is what of a table is a tenant's.
type tenancy struct {
	own    string // which rows
	grants string // what it may do with them; "": nothing
}

const (
	inWorkspace = `workspace = current_setting('mgx.workspace', true)`
	everything  = `SELECT, INSERT, UPDATE, DELETE`
)

// tenancies are those of tables without a column workspace, and of those in which
// a tenant's rows are others than those with its workspace or which it may not
// change at will. Of the rest, what has a workspace is as spaced says and what has
// none is no tenant's.
var tenancies = map[string]tenancy{
	"workspaces": {`id = current_setting('mgx.workspace', true)`, everything},
	// People are seen by those they work with, and what they prove themselves with by nobody.
	"users":              {`EXISTS (SELECT FROM members m WHERE m.user_id = users.id AND m.` + inWorkspace + `)`, `SELECT (id, email, name, created_at, updated_at)`},
	"webhook_secrets":    {`EXISTS (SELECT FROM webhooks w WHERE w.id = webhook AND w.` + inWorkspace + `)`, everything},
	"webhook_deliveries": {`EXISTS (SELECT FROM webhooks w WHERE w.id = webhook AND w.` + inWorkspace + `)`, everything},
	"webhook_attempts":   {`EXISTS (SELECT FROM webhooks w WHERE w.id = webhook AND w.` + inWorkspace + `)`, everything},
	"budget_periods":     {`EXISTS (SELECT FROM budgets b WHERE b.id = budget AND b.` + inWorkspace + `)`, everything},

	// Ids and positions, which say nothing of what they are of.
	"epoch": {`true`, `SELECT`}, "sequencer": {`true`, `SELECT`}, "partitions": {`true`, `SELECT`}, "event_ids": {`true`, `SELECT`},

	// That a workspace is being erased is known there.
	"erasures": {`subject = current_setting('mgx.workspace', true)`, `SELECT`},

	// The log is written by the store itself.
	"events": {inWorkspace, `SELECT`}, "outbox": {inWorkspace, `SELECT`}, "streams": {inWorkspace, `SELECT`},

	// Of people across workspaces, and of the installation.
	"identities": {}, "sessions": {}, "attempts": {}, "session_tokens": {}, "mgx_schema": {}, "receipts": {}, "shared_keys": {}, "consumers": {}, "consumer_dead": {},
}

// tenancyOf is that of a table that may have a column workspace.
func tenancyOf(table string, spaced bool) tenancy {
	if strings.HasPrefix(table, "events_") {
		table = "events" // of which it is a part
	}
	if t, ok := tenancies[table]; ok || !spaced {
		return t
	}
	return tenancy{inWorkspace, everything}
}

// Wall says whether the second wall stands.
type Wall struct {
	Stands bool
	Role   string // that what is asked on behalf of a workspace runs as
	Why    string // not
}

// Wall returns whether the database keeps tenants apart by itself. SQLite cannot.
func (s *Store) Wall() Wall {
	if d, ok := s.driver.(*server); ok {
		return d.wall
	}
	return Wall{Why: "SQLite has no row-level security; every query names its workspace, and that is the only wall"}
}

// build makes what is missing of the wall, and finds out whether it stands. A
// server on which it cannot be made is no error: the first wall is there.
func (d *server) build(ctx context.Context, conn *sql.Conn, readOnly bool) error {
	var user string
	if err := conn.QueryRowContext(ctx, `SELECT current_user, current_schema()`).Scan(&user, &d.schema); err != nil {
		return err
	}
	w := mason{role: tenantRole(user), user: user, schema: d.schema}
	d.mason = w
	d.wall = Wall{Role: w.role}
	missing, err := w.missing(ctx, conn)
	switch {
	case err != nil:
		return err
	case missing != "" && readOnly:
		d.wall.Why = "this process only reads, and no other has built it yet"
		return nil
	case missing != "":
		err = w.raise(ctx, conn)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, `SET ROLE `+identifier(w.role)+`; RESET ROLE`)
	}
	if state := sqlState(err); strings.HasPrefix(state, "42") || state == "22023" { // rights, or a role that is not there
		d.wall.Why = fmt.Sprintf("the database does not let mgx build it (%s); have an administrator run CREATE ROLE %[2]s NOLOGIN; GRANT %[2]s TO %[3]s; and start again",
			briefly(err), identifier(w.role), identifier(user))
		return nil
	}
	d.wall.Stands, d.mason.stands = err == nil, err == nil
	return err
}

// tenantRole is the role for tenants of the databases that a role owns. Those of
// another owner on the same server have another one.
func tenantRole(owner string) string {
	const most = 63 // bytes of a name
	name := "mgx_tenant_" + owner
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most-9], "") + "_" + digest8(owner)
	}
	return name
}

func digest8(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// mason builds the wall.
type mason struct {
	role, user, schema string
	stands             bool
}

// part is the SQL for a table that is about to be part of the log.
func (w mason) part(name string) string {
	if !w.stands {
		return ""
	}
	return w.around(table{name: name, spaced: true})
}

// noWall leaves it to who opens the database.
func noWall(string) string { return "" }

// raise makes all that is missing, or nothing. Of several processes one does.
func (w mason) raise(ctx context.Context, conn *sql.Conn) error {
	for _, begin := range postgresDialect.begin {
		if _, err := conn.ExecContext(ctx, begin); err != nil {
			return err
		}
	}
	_, err := conn.ExecContext(ctx, w.admit())
	var missing string
	if err == nil {
		missing, err = w.missing(ctx, conn)
	}
	if err == nil {
		_, err = conn.ExecContext(ctx, missing+`COMMIT`)
	}
	if err != nil {
		conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`)
	}
	return err
}

// admit is SQL that makes the role and lets us become it. Roles are of the whole
// server, so that others may be at it for another database.
func (w mason) admit() string {
	return fmt.Sprintf(`DO $$ BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = %[1]s) THEN
		BEGIN
			CREATE ROLE %[2]s NOLOGIN;
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL; -- another process was first
		END;
	END IF;
	IF NOT pg_has_role(current_user, %[1]s, 'MEMBER') THEN
		GRANT %[2]s TO CURRENT_USER;
	END IF;
	GRANT USAGE ON SCHEMA %[3]s TO %[2]s;
END $$`, literal(w.role), identifier(w.role), identifier(w.schema))
}

// missing is the SQL that the tables need yet.
func (w mason) missing(ctx context.Context, conn *sql.Conn) (string, error) {
	rows, err := conn.QueryContext(ctx, `SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity,
			EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'workspace' AND NOT a.attisdropped),
			COALESCE((SELECT string_agg(p.polname, ' ' ORDER BY p.polname) FROM pg_policy p WHERE p.polrelid = c.oid), ''),
			EXISTS (SELECT FROM pg_roles r WHERE r.rolname = $1 AND has_any_column_privilege(r.oid, c.oid, 'SELECT'))
		FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname`, w.role)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var t table
		var policies string
		if err := rows.Scan(&t.name, &t.forced, &t.spaced, &policies, &t.granted); err != nil {
			return "", err
		}
		t.policies = strings.Fields(policies)
		all.WriteString(w.around(t))
	}
	return all.String(), rows.Err()
}

// table is one as the catalog has it.
type table struct {
	name     string
	spaced   bool // it has a column workspace
	forced   bool
	granted  bool
	policies []string
}

// around is the SQL that one table needs yet.
func (w mason) around(t table) string {
	what := tenancyOf(t.name, t.spaced)
	if what.grants == "" && !t.spaced {
		return ""
	}
	var b strings.Builder
	name, role := identifier(t.name), identifier(w.role)
	if !t.forced {
		fmt.Fprintf(&b, "ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n", name)
	}
	if ours := "mgx_installation_" + digest8(w.user); !slices.Contains(t.policies, ours) {
		fmt.Fprintf(&b, "CREATE POLICY %s ON %s TO CURRENT_USER USING (true);\n", ours, name)
	}
	if what.grants == "" {
		return b.String()
	}
	every := "mgx_tenant_" + digest8(w.role) + "_"
	theirs := every + digest8(what.own+what.grants)
	for _, old := range t.policies {
		if old != theirs && strings.HasPrefix(old, every) {
			fmt.Fprintf(&b, "DROP POLICY %s ON %s;\n", old, name)
		}
	}
	fresh := !slices.Contains(t.policies, theirs)
	if fresh {
		fmt.Fprintf(&b, "CREATE POLICY %s ON %s TO %s USING (%s);\n", theirs, name, role, what.own)
	}
	if fresh || !t.granted {
		fmt.Fprintf(&b, "REVOKE ALL ON %[1]s FROM %[2]s; GRANT %[3]s ON %[1]s TO %[2]s;\n", name, role, what.grants)
	}
	return b.String()
}
