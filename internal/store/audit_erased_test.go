package store_test

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	signed "golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

// behindIt is the database that a store works on.
func behindIt(t testing.TB, path string) *sql.DB {
	t.Helper()
	driver := "sqlite"
	if strings.Contains(path, "://") {
		driver = "pgx"
	}
	db, err := sql.Open(driver, path)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// behind runs SQL behind the store's back.
func behind(t testing.TB, path, query string) {
	t.Helper()
	db := behindIt(t, path)
	defer db.Close()
	if _, err := db.Exec(query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// erased is a database in which somebody was erased.
func erased(t *testing.T, path string) (*store.Store, mgx.PersonErasure) {
	t.Helper()
	s := open(t, path, store.Options{Vouch: auditKey.Vouch})
	owner := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: string(mgx.LocalUser), From: "192.0.2.1"}
	_, err := s.Found(t.Context(), owner, mgx.User{ID: mgx.LocalUser, Name: "owner"}, mgx.Invitation{ID: "inv_first", Workspace: mgx.DefaultWorkspace, Role: mgx.RoleAdmin, User: mgx.LocalUser, Digest: "first", ExpiresAt: mgx.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	i := mgx.Invitation{ID: "inv_gone", Workspace: mgx.DefaultWorkspace, Email: "gone@example.com", Role: mgx.RoleViewer, Digest: "gone", CreatedBy: mgx.LocalUser, ExpiresAt: mgx.Now().Add(time.Hour)}
	if err := s.Invite(t.Context(), owner, i); err != nil {
		t.Fatal(err)
	}
	if err := s.Accept(t.Context(), owner, mgx.Acceptance{Digest: "gone", New: true, User: mgx.User{ID: "user_gone", Email: i.Email, Name: "Gone"}}); err != nil {
		t.Fatal(err)
	}
	acts(t, s, 3)
	done, err := s.ErasePerson(t.Context(), owner, "user_gone", false)
	if err != nil || done.Entries == 0 {
		t.Fatalf("%+v %v", done, err)
	}
	sign(t, s, time.Now())
	return s, done
}

// Erasing a person leaves a log that verifies, with an entry that says what it took and
// holds nothing of them; taking one more detail away is found, and so is saying that it
// was erased without the key.
func TestAuditTellsOfErasing(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]func(testing.TB) string{"SQLite": place, "PostgreSQL": pgtest.NewDatabase} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tellsOfErasing(t, where(t))
		})
	}
}

func tellsOfErasing(t *testing.T, path string) {
	s, done := erased(t, path)
	r := audited(t, s)
	if len(r.Problems) != 0 || r.Erased != done.Entries || r.ErasedBefore != 0 || r.Covered != r.Entries {
		t.Fatalf("of %d erased: %+v", done.Entries, r)
	}
	all, err := s.AuditEntries(t.Context(), mgx.DefaultWorkspace, 0)
	if err != nil {
		t.Fatal(err)
	}
	last := all[len(all)-1]
	var d mgx.AuditData
	if err := last.Decode(&d); err != nil || d.Action != "audit.erase" || d.Resource != "user_gone" || !strings.Contains(string(last.Data), `"details":{}`) || strings.Contains(string(last.Data), "gone@") {
		t.Errorf("%+v %v", d, err)
	}
	trusted, err := audit.Trusted(auditKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	log := audit.Log{Store: s, Workspace: mgx.DefaultWorkspace}
	p, err := log.Prove(t.Context(), 2) // the invitation, which names their address
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Check(trusted); err != nil || p.Erasure == "" {
		t.Errorf("the proof of what was erased: %v", err)
	}
	elsewhere(t, s, trusted)
	p.Erasure = ""
	if _, err := p.Check(trusted); err == nil || !strings.Contains(err.Error(), "taken away") {
		t.Errorf("the proof of what was taken away: %v", err)
	}
	s.Close()

	var kept int64 // an entry that has its details
	for _, e := range all {
		var d mgx.AuditData
		if err := e.Decode(&d); err == nil && d.Action == "key.create" {
			kept = e.Sequence
			d.Salt, d.Details = "", nil
			text, _ := json.Marshal(d)
			behind(t, path, `UPDATE events SET data = '`+string(text)+`' WHERE stream = 'audit_ws_default' AND sequence = `+strconv.FormatInt(kept, 10))
			break
		}
	}
	s = open(t, path, store.Options{Vouch: auditKey.Vouch})
	if r := audited(t, s); len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "the details of entry "+strconv.FormatInt(kept, 10)+" were taken away") {
		t.Errorf("one more is gone: %+v", r)
	}
	text := mgx.AuditErasure{Workspace: mgx.DefaultWorkspace, Subject: "user_gone", Entries: mgx.Spans{{kept, kept}}, Time: time.Now()}.Text()
	forged, err := audit.NewKey("another").Vouch(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{text, forged} {
		lie := mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "user_local", Action: "audit.erase", Resource: "user_gone", Decision: mgx.AuditAllowed, Erased: said})
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{lie}}); err != nil {
			t.Fatal(err)
		}
	}
	if r := audited(t, s); !strings.Contains(strings.Join(r.Problems, "\n"), "were taken away") || !strings.Contains(strings.Join(r.Problems, "\n"), "which does not count") {
		t.Errorf("with lies about it: %+v", r)
	}
}

// elsewhere makes the tree of an export as docs/audit.md says, without any of our code
// but for reading what was signed, and holds it against the checkpoint.
func elsewhere(t *testing.T, s *store.Store, trusted signed.Verifiers) {
	t.Helper()
	var out bytes.Buffer
	log := app.Audit{Store: s, By: mgx.Doer{Workspace: mgx.DefaultWorkspace}}
	if err := log.Export(t.Context(), app.AuditFilter{}, "json", &out); err != nil {
		t.Fatal(err)
	}
	var hashes []tlog.Hash
	tree := tlog.HashReaderFunc(func(at []int64) (all []tlog.Hash, err error) {
		for _, i := range at {
			all = append(all, hashes[i])
		}
		return all, nil
	})
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	for n, line := range lines {
		var e struct {
			Sequence                                              uint64
			Time                                                  time.Time `json:"timestamp"`
			ID                                                    string    `json:"event_id"`
			Request                                               string    `json:"request_id"`
			Actor, Action, Resource, Decision, Reason, Commitment string
			Erased, Salt, Version                                 string
			Kept                                                  int64 `json:"kept_days"`
			Details                                               json.RawMessage
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(slices.Concat([]byte(e.Salt), []byte{0}, e.Details)); e.Details != nil && e.Commitment != hex.EncodeToString(sum[:]) {
			t.Errorf("the details of entry %d are not those that were committed to: %s", e.Sequence, line)
		}
		leaf := binary.BigEndian.AppendUint64([]byte("mgx audit 3\n"), e.Sequence)
		leaf = binary.BigEndian.AppendUint64(leaf, uint64(e.Time.UnixMicro()))
		for _, field := range []string{e.ID, "ws_default", e.Actor, e.Action, e.Resource, e.Decision, e.Reason, e.Request, e.Commitment, e.Erased, strconv.FormatInt(e.Kept, 10), e.Version} {
			leaf = append(binary.BigEndian.AppendUint32(leaf, uint32(len(field))), field...)
		}
		more, err := tlog.StoredHashes(int64(n), leaf, tree)
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(int64(len(lines)), tree)
	if err != nil {
		t.Fatal(err)
	}
	all, err := s.AuditCheckpoints(t.Context(), mgx.DefaultWorkspace, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	claim, err := audit.Read(all[len(all)-1].Note, trusted)
	if err != nil || claim.Root != root || claim.Size != int64(len(lines)) {
		t.Errorf("of %d exported entries the tree is %s, and %+v was signed, %v", len(lines), root, claim, err)
	}
}

// asBefore gives audit entries the version that they had when their kind of leaf was made.
func asBefore(e *mgx.Event) error {
	var d mgx.AuditData
	if err := e.Decode(&d); err != nil {
		return err
	}
	e.Version = []string{"1.0.0", "1.1.0", "1.2.0"}[d.Leaf]
	return nil
}

// before records n acts as they were when the tree hashed them by an earlier kind of leaf.
func before(t testing.TB, s *store.Store, leaf, n int) {
	t.Helper()
	for range n {
		e := mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "user_1", Action: "key.create", Resource: "key_1", Decision: mgx.AuditAllowed})
		e.Data = []byte(strings.Replace(string(e.Data), `"leaf":2`, fmt.Sprintf(`"leaf":%d`, leaf), 1))
		if _, err := s.Commit(t.Context(), mgx.Change{Events: []mgx.Event{e}}); err != nil {
			t.Fatal(err)
		}
	}
}

// What the leaf of an earlier entry does not hold has the value that it must have had.
func TestAuditEveryFieldFromBefore(t *testing.T) {
	t.Parallel()
	for leaf := range 2 {
		path := place(t)
		s := open(t, path, store.Options{Check: asBefore})
		before(t, s, leaf, 5)
		sign(t, s, time.Now())
		if r := audited(t, s); len(r.Problems) != 0 || r.Covered != 5 {
			t.Fatalf("leaf %d: nothing was done, and %+v", leaf, r)
		}
		db := behindIt(t, path)
		defer db.Close()
		const at = ` WHERE stream = 'audit_ws_default' AND sequence = 3`
		for _, change := range []string{
			`data = json_set(data, '$.kept_days', 1)`, `data = json_set(data, '$.kept_days', -1)`, `data = json_set(data, '$.erased', 'x')`, `data = replace(data, '{"actor"', '{"x":1,"actor"')`,
			`data = replace(data, '{"actor"', '{"actor":"y","actor"')`, `data = data || ' '`, `version = '1.2.0'`, `version = ''`, `class = 1`, `time = time + 1`, `task = 'task_1'`,
		} {
			var data, version, task string
			var class, at0 int64
			if err := db.QueryRow(`SELECT data, version, class, time, task FROM events`+at).Scan(&data, &version, &class, &at0, &task); err != nil {
				t.Fatal(err)
			}
			if _, err := db.Exec(`UPDATE events SET ` + change + at); err != nil {
				t.Fatalf("%s: %v", change, err)
			}
			if r := audited(t, s); len(r.Problems) == 0 {
				t.Errorf("leaf %d: %s, and nothing is found", leaf, change)
			}
			if _, err := db.Exec(`UPDATE events SET data = $1, version = $2, class = $3, time = $4, task = $5`+at, data, version, class, at0, task); err != nil {
				t.Fatal(err)
			}
			if r := audited(t, s); len(r.Problems) > 0 {
				t.Fatalf("leaf %d: it is as it was: %v", leaf, r.Problems)
			}
		}
	}
}

// A log from before erasures were recorded verifies, and says of how many entries it
// cannot be told.
func TestAuditFromBefore(t *testing.T) {
	t.Parallel()
	path := place(t)
	s := open(t, path, store.Options{Check: asBefore})
	before(t, s, 0, 4)
	acts(t, s, 2)
	sign(t, s, time.Now())
	s.Close()
	const stream = `stream = 'audit_ws_default'`
	raw(t, path, `UPDATE events SET data = json_remove(data, '$.details', '$.salt') WHERE sequence IN (2, 3) AND `+stream)
	if r := audited(t, open(t, path, store.Options{})); len(r.Problems) != 0 || r.ErasedBefore != 2 || r.Erased != 0 || r.Covered != 6 {
		t.Errorf("%+v", r)
	}
}
