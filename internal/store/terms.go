package store

import (
	"context"
	"strings"
	"time"

	"mgx"
)

// keptAnswers is how long an answer can be asked for again.
const keptAnswers = 24 * time.Hour

// revise counts one more act on a thing.
const revise = `INSERT INTO revisions (workspace, kind, id, revision) VALUES ($1, $2, $3, 1)
	ON CONFLICT (workspace, kind, id) DO UPDATE SET revision = revisions.revision + 1 RETURNING revision`

// heed counts the act of an audit entry, which is being appended, and holds to the
// terms on which it is done.
func (t *tx) heed(e mgx.Event) error {
	var d mgx.AuditData
	if err := e.Decode(&d); err != nil {
		return err
	}
	if d.Decision != mgx.AuditAllowed || d.Resource == "" || !d.Changes() {
		return nil
	}
	kind, _, _ := strings.Cut(d.Action, ".")
	if err := t.change(e.Workspace, d.Action); err != nil {
		return err
	}
	var revision int64
	_, err := t.row(revise, []any{string(e.Workspace), kind, d.Resource}, &revision)
	t.wrote, t.done = true, true
	if err != nil || t.terms == nil || t.heeded || !t.terms.Are(kind, d.Resource) {
		return err
	}
	t.heeded = true
	if err := t.terms.Allow(revision - 1); err != nil {
		return err
	}
	return t.once(d.Resource)
}

// unheeded holds to the terms of an act that had nothing to do, and so has no entry.
func (t *tx) unheeded(ws mgx.WorkspaceID) error {
	if t.terms == nil || t.terms.Match == nil {
		return nil
	}
	var revision int64
	_, err := t.row(`SELECT revision FROM revisions WHERE workspace = $1 AND kind = $2 AND id = $3`, []any{string(ws), t.terms.Kind, t.terms.ID}, &revision)
	if err == nil {
		err = t.terms.Allow(revision)
	}
	return err
}

// once remembers that what is asked to be done once is done.
func (t *tx) once(made string) error {
	o := t.terms.Once
	if o == nil {
		return nil
	}
	if _, err := t.exec(`DELETE FROM kept_answers WHERE created_at < $1`, micros(t.now.Add(-keptAnswers))); err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO kept_answers (workspace, actor, route, key, digest, made, status, body, created_at) VALUES ($1, $2, $3, $4, $5, $6, 0, '', $7)
		ON CONFLICT (workspace, actor, route, key) DO NOTHING`, string(o.Workspace), o.Actor, o.Route, o.Key, o.Digest, made, micros(t.now))
	if err == nil && n == 0 {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeKeyInUse, "another request with this Idempotency-Key was just answered")
	}
	return err
}

// KeptAnswer returns what came of a request that is done once, for a day.
func (s *Store) KeptAnswer(ctx context.Context, o mgx.Once) (a mgx.KeptAnswer, found bool, err error) {
	scan := func(row scanner) (a mgx.KeptAnswer, err error) {
		return a, row.Scan(&a.Digest, &a.Made, &a.Status, &a.Body)
	}
	return get(ctx, s, scan, `SELECT digest, made, status, body FROM kept_answers WHERE workspace = $1 AND actor = $2 AND route = $3 AND key = $4 AND created_at >= $5`,
		string(o.Workspace), o.Actor, o.Route, o.Key, micros(s.opts.Now().Add(-keptAnswers)))
}

// KeepAnswer keeps what was answered. Where the act was not remembered with its
// audit entry, for it has none, it is remembered here. Of a workspace that is erased
// meanwhile nothing is kept.
func (s *Store) KeepAnswer(ctx context.Context, o mgx.Once, a mgx.KeptAnswer) error {
	return s.write(ctx, func(t *tx) error {
		if err := t.takes(o.Workspace); err != nil {
			if mgx.IsCode(err, mgx.CodeErased) {
				return nil
			}
			return err
		}
		_, err := t.exec(`INSERT INTO kept_answers (workspace, actor, route, key, digest, made, status, body, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (workspace, actor, route, key) DO UPDATE SET status = excluded.status, body = excluded.body WHERE kept_answers.digest = excluded.digest`,
			string(o.Workspace), o.Actor, o.Route, o.Key, o.Digest, a.Made, a.Status, string(a.Body), micros(t.now))
		return err
	})
}

// Revision is how often something was acted on; 0: never since that is counted.
func (s *Store) Revision(ctx context.Context, ws mgx.WorkspaceID, kind, id string) (n int64, err error) {
	scan := func(row scanner) (n int64, err error) { return n, row.Scan(&n) }
	n, _, err = one(ctx, s, scan, `SELECT revision FROM revisions WHERE workspace = $1 AND kind = $2 AND id = $3`, string(ws), kind, id)
	return n, err
}

// Revisions are those of several things, by id.
func (s *Store) Revisions(ctx context.Context, ws mgx.WorkspaceID, kind string, ids []string) (map[string]int64, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var w where
	w.is("workspace =", string(ws))
	w.is("kind =", kind)
	in(&w, "id", ids)
	found := map[string]int64{}
	_, err := list(ctx, s, func(row scanner) (none struct{}, err error) {
		var id string
		var n int64
		err = row.Scan(&id, &n)
		found[id] = n
		return none, err
	}, `SELECT id, revision FROM revisions`+w.String(), w.args...)
	return found, err
}
