package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"mgx"
	"mgx/internal/audit"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

const keptAudit = 100 * 24 * time.Hour

var auditKey = audit.NewKey("a secret of this test")

// acts appends n entries to the audit log of the default workspace.
func acts(t testing.TB, s *store.Store, n int) {
	t.Helper()
	for i := range n {
		e := mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{
			Actor: "user_1", Action: "key.create", Resource: fmt.Sprintf("key_%d", i), Decision: mgx.AuditAllowed,
			Details: &mgx.AuditDetails{From: "192.0.2.7", Before: json.RawMessage(`{"a": [1, "<"]}`)},
		})
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
}

func sign(t testing.TB, s *store.Store, at time.Time) mgx.AuditCheckpoint {
	t.Helper()
	c, made, err := audit.Log{Store: s, Workspace: mgx.DefaultWorkspace}.Sign(t.Context(), auditKey, at)
	if err != nil || !made {
		t.Fatalf("no checkpoint: %v", err)
	}
	return c
}

func audited(t testing.TB, s *store.Store, also ...string) audit.Report {
	t.Helper()
	trusted, err := audit.Trusted(auditKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	r, err := audit.Log{Store: s, Workspace: mgx.DefaultWorkspace}.Verify(context.Background(), audit.Options{Trusted: trusted, Also: also, Keep: keptAudit})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever is done to the rows behind the store's back is found, or is something
// that may be done.
func TestAuditTampering(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{})
	acts(t, s, 5)
	old := sign(t, s, time.Now().Add(-2*keptAudit))
	acts(t, s, 7)
	newest := sign(t, s, time.Now())
	acts(t, s, 1)
	if r := audited(t, s); len(r.Problems) > 0 || r.Entries != 13 || r.Covered != 12 || r.Checkpoints != 2 {
		t.Fatalf("nothing was done, and %+v", r)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const stream = `stream = 'audit_ws_default'`
	forged, _, _ := strings.Cut(newest.Note, "\n\n")
	for name, c := range map[string]struct {
		sql  []string
		also []string
		want string // in a problem; "": there is none
		ok   func(audit.Report) bool
	}{
		"actor changed":         {sql: []string{`UPDATE events SET data = replace(data, 'user_1', 'user_2') WHERE sequence = 7 AND ` + stream}, want: "the tree does not fit the entries from 7 on"},
		"details changed":       {sql: []string{`UPDATE events SET data = replace(data, '192.0.2.7', '192.0.2.8') WHERE sequence = 3 AND ` + stream}, want: "details of entry 3"},
		"decision changed":      {sql: []string{`UPDATE events SET data = replace(data, 'allowed', 'denied') WHERE sequence = 13 AND ` + stream}, want: "from 13 on"},
		"time changed":          {sql: []string{`UPDATE events SET time = time + 1 WHERE sequence = 2 AND ` + stream}, want: "from 2 on"},
		"type changed":          {sql: []string{`UPDATE events SET type = 'tool.called' WHERE sequence = 6 AND ` + stream}, want: "the row of entry 6"},
		"said to be of a run":   {sql: []string{`UPDATE events SET run = 'run_1' WHERE sequence = 6 AND ` + stream}, want: "the row of entry 6"},
		"to be kept for a day":  {sql: []string{`UPDATE events SET class = 1 WHERE sequence = 6 AND ` + stream}, want: "the row of entry 6 says that it is kept"},
		"to be kept for ever":   {sql: []string{`UPDATE events SET class = 0 WHERE sequence = 6 AND ` + stream}, want: "the row of entry 6 says that it is kept"},
		"entries swapped":       {sql: []string{`UPDATE events SET sequence = 100 WHERE sequence = 8 AND ` + stream, `UPDATE events SET sequence = 8 WHERE sequence = 9 AND ` + stream, `UPDATE events SET sequence = 9 WHERE sequence = 100 AND ` + stream}, want: "entry 8 stands behind entry 9"},
		"entry gone":            {sql: []string{`DELETE FROM events WHERE sequence = 9 AND ` + stream}, want: "entry 9 is missing"},
		"last entry gone":       {sql: []string{`DELETE FROM events WHERE sequence = 13 AND ` + stream}, want: "entry 13 is missing"},
		"gone, said to be over": {sql: []string{`DELETE FROM events WHERE sequence = 9 AND ` + stream, `INSERT INTO baselines VALUES ('audit_ws_default', 'ws_default', 10, 1, 9, NULL)`}, want: "entry 9 is missing"},
		"over":                  {sql: []string{`DELETE FROM events WHERE sequence = 4 AND ` + stream, `INSERT INTO baselines VALUES ('audit_ws_default', 'ws_default', 10, 1, 9, NULL)`}, ok: func(r audit.Report) bool { return r.Removed == 1 }},
		"hash changed":          {sql: []string{`UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 6`}, want: "does not fit the entries from"},
		"hash gone":             {sql: []string{`DELETE FROM audit_hashes WHERE idx = 6`}, want: "hash 6 of the audit log"},
		"cut off":               {sql: []string{`DELETE FROM events WHERE sequence > 6 AND ` + stream, `DELETE FROM audit_hashes WHERE idx >= ` + fmt.Sprint(tlog.StoredHashCount(6))}, want: "the log was cut off: it has 6 entries"},
		"cut off, with checkpoints": {
			sql:  []string{`DELETE FROM events WHERE sequence > 6 AND ` + stream, `DELETE FROM audit_hashes WHERE idx >= ` + fmt.Sprint(tlog.StoredHashCount(6)), `DELETE FROM audit_checkpoints WHERE size > 6`},
			also: []string{old.Note, newest.Note}, want: "the log was cut off",
		},
		"made anew": {sql: remade(t, 13), want: "the first 5 entries are not those that"},
		"checkpoint by somebody else": {
			sql:  []string{`UPDATE audit_checkpoints SET note = '` + forged + "\n\n— mgx-0 AAAAAAAA\n" + `' WHERE size = 12`},
			want: "checkpoint over 12 entries",
		},
		"details taken": {
			sql: []string{`UPDATE events SET data = json_remove(data, '$.details', '$.salt') WHERE sequence = 2 AND ` + stream}, want: "the details of entry 2 were taken away, and no erasure tells of it",
		},
		"details taken, and the entry said to be older": {
			sql: []string{`UPDATE events SET data = json_remove(data, '$.details', '$.salt', '$.leaf') WHERE sequence = 2 AND ` + stream}, want: "does not fit the entries from 2 on",
		},
		"details gone alone": {sql: []string{`UPDATE events SET data = json_remove(data, '$.details') WHERE sequence = 2 AND ` + stream}, want: "details of entry 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := place(t)
			os.MkdirAll(filepath.Dir(path), 0o700)
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
			raw(t, path, c.sql...)
			r := audited(t, open(t, path, store.Options{}), c.also...)
			found := strings.Join(r.Problems, "\n")
			switch {
			case c.want == "" && (found != "" || !c.ok(r)):
				t.Errorf("%+v", r)
			case c.want != "" && !strings.Contains(found, c.want):
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}

// Whatever column of an entry is changed, to whatever value another event may have, it is
// found; so a column that is new is found too, or this test.
func TestAuditEveryColumn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		where   func(testing.TB) string
		columns string
	}{
		"SQLite":     {place, `SELECT name, type FROM pragma_table_info('events')`},
		"PostgreSQL": {pgtest.NewDatabase, `SELECT column_name, upper(data_type) FROM information_schema.columns WHERE table_name = 'events'`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyColumn(t, c.where(t), c.columns)
		})
	}
}

func everyColumn(t *testing.T, path, columns string) {
	const longer = 3000 // days: longer than entries are kept, and something may be
	s := open(t, path, store.Options{Keep: map[mgx.EventType]time.Duration{mgx.AuditRecorded: keptAudit, "test.note": longer * 24 * time.Hour}, Check: func(e *mgx.Event) error { e.Version = "1.2.0"; return nil }})
	acts(t, s, 9)
	other := mgx.Event{ID: mgx.NewID[mgx.EventID]("evt"), Type: "test.note", Workspace: mgx.DefaultWorkspace, Stream: "task_1", Time: mgx.Now(), Data: json.RawMessage(`{}`)}
	if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{other}}); err != nil { // which has a class of its own
		t.Fatal(err)
	}
	sign(t, s, time.Now())
	if r := audited(t, s); len(r.Problems) > 0 || r.Entries != 9 {
		t.Fatalf("nothing was done, and %+v", r)
	}
	db := behindIt(t, path)
	defer db.Close()
	rows, err := db.Query(columns)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	kinds := map[string]string{}
	for rows.Next() {
		var name, kind string
		if err := rows.Scan(&name, &kind); err != nil {
			t.Fatal(err)
		}
		kinds[name] = kind
	}
	if kinds["class"] == "" || len(kinds) < 18 {
		t.Fatalf("the columns are %v", kinds)
	}
	const at = ` WHERE stream = 'audit_ws_default' AND sequence = 6`
	for name, kind := range kinds {
		changed := name + ` || 'x'`
		switch {
		case name == "class":
			changed = strconv.Itoa(longer)
		case name == "data": // a field that is none of ours changes nothing that is read
			changed = `replace(data, '{"actor"', '{"x":1,"actor"')`
		case kind != "TEXT":
			changed = name + ` + 1000`
		}
		by, was := "position", any(nil)
		if name == "position" {
			by = "id"
		}
		var key any
		if err := db.QueryRow(`SELECT `+by+`, `+name+` FROM events`+at).Scan(&key, &was); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec(`UPDATE events SET ` + name + ` = ` + changed + at); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r := audited(t, s); len(r.Problems) == 0 {
			t.Errorf("%s was changed, and nothing is found", name)
		}
		if _, err := db.Exec(`UPDATE events SET `+name+` = $1 WHERE `+by+` = $2`, was, key); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r := audited(t, s); len(r.Problems) > 0 {
			t.Fatalf("%s is as it was: %v", name, r.Problems)
		}
	}
}

// remade is what somebody does who can write everything but has no key: an actor
// is changed and the whole tree made to fit.
func remade(t testing.TB, n int) []string {
	t.Helper()
	path := place(t)
	s := open(t, path, store.Options{})
	acts(t, s, n)
	hashes, err := s.AuditHashes(t.Context(), mgx.DefaultWorkspace, indexes(tlog.StoredHashCount(int64(n))))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := s.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, fmt.Sprintf(`UPDATE events SET id = '%s', time = %d, data = '%s' WHERE stream = 'audit_ws_default' AND sequence = %d`, e.ID, e.Time.UnixMicro(), e.Data, e.Sequence))
	}
	for i, h := range hashes {
		out = append(out, fmt.Sprintf(`UPDATE audit_hashes SET hash = '%s' WHERE idx = %d`, h, i))
	}
	return out
}

func indexes(n int64) (out []int64) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

func TestAuditProof(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	log := audit.Log{Store: s, Workspace: mgx.DefaultWorkspace}
	if _, err := log.Prove(t.Context(), 1); !mgx.IsCode(err, mgx.CodeNotFound) {
		t.Errorf("an empty log: %v", err)
	}
	acts(t, s, 9)
	if _, err := log.Prove(t.Context(), 4); !mgx.IsCode(err, "not_signed_yet") {
		t.Errorf("nothing is signed: %v", err)
	}
	sign(t, s, time.Now())
	if _, made, err := log.Sign(t.Context(), auditKey, time.Now()); made || err != nil {
		t.Errorf("signed the same again: %v", err)
	}
	trusted, _ := audit.Trusted(auditKey.Public())
	strangers, _ := audit.Trusted(audit.NewKey("another").Public())
	for seq := int64(1); seq <= 9; seq++ {
		p, err := log.Prove(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		sent, _ := json.Marshal(p) // as it reaches somebody else
		p = audit.Proof{}
		if err := json.Unmarshal(sent, &p); err != nil {
			t.Fatal(err)
		}
		if state, err := p.Check(trusted); err != nil || state.Size != 9 {
			t.Errorf("entry %d: %+v %v", seq, state, err)
		}
		if _, err := p.Check(strangers); err == nil {
			t.Errorf("entry %d is proved by a key that nobody trusts", seq)
		}
		p.Entry.Data = json.RawMessage(strings.Replace(string(p.Entry.Data), "allowed", "denied", 1))
		if _, err := p.Check(trusted); err == nil {
			t.Errorf("entry %d is proved to be what it is not", seq)
		}
	}
	if _, err := audit.Trusted("mgx+00000000+AAAA"); !mgx.IsCode(err, "bad_audit_key") {
		t.Errorf("a key that is none: %v", err)
	}
}

// An entry that is appended once more is the same, though the time for which entries are
// kept was set anew in between; and it is kept for as long as it says.
func TestAuditAgain(t *testing.T) {
	t.Parallel()
	kept := func(days time.Duration) map[mgx.EventType]time.Duration {
		return map[mgx.EventType]time.Duration{mgx.AuditRecorded: days * 24 * time.Hour}
	}
	s := open(t, place(t), store.Options{Keep: kept(200)})
	e := mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "user_1", Action: "key.create", Resource: "key_1", Decision: mgx.AuditAllowed})
	for _, days := range []time.Duration{200, 300} {
		s.SetKeep(kept(days))
		done, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(done.Events[0].Data), `"kept_days":200`) {
			t.Errorf("appended is %s", done.Events[0].Data)
		}
	}
	if r := audited(t, s); len(r.Problems) > 0 || r.Entries != 1 {
		t.Errorf("%+v", r)
	}
}
