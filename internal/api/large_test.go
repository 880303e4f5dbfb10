package api_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/app"
	"mgx/internal/audit"
	"mgx/internal/event"
	"mgx/internal/store"
	"mgx/internal/store/pgtest"
)

const (
	largeLedger = 50_000   // calls
	largeLog    = 3_000    // entries, each of them signed
	largeHeap   = 10 << 20 // bytes that an answer may take more of than there was
	largeDay    = 86_400_000_000
)

// What reads everything there is takes as long as that takes, whatever other requests
// may take, and a bounded part of the memory: the ledger as CSV, the audit log, and
// the look whether it is what was signed.
func TestLargeAnswersInBoundedMemory(t *testing.T) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			place := filepath.Join(t.TempDir(), "mgx.db")
			do := func(statements ...string) { runOnFile(t, place, statements) }
			if database == "PostgreSQL" {
				place = pgtest.NewDatabase(t)
				do = func(statements ...string) { pgtest.SQL(t, place, strings.Join(statements, ";\n")) }
			}
			contracts, err := event.NewRegistry()
			if err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), place, store.Options{Check: contracts.Check})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			do(manyCalls)
			key := audit.NewKey("a secret of this test")
			do(signedOften(t, s, key)...)
			by := mgx.Doer{Workspace: mgx.DefaultWorkspace, Actor: "user_local"}
			hub := event.NewHub(event.HubOptions{Source: s, Epoch: "epoch-1", Key: []byte("0123456789abcdef"), Authorize: event.OneWorkspace(mgx.DefaultWorkspace), Contracts: contracts})
			web := httptest.NewServer(api.New(api.Options{
				Hub: hub, Contracts: contracts, Token: token, Actor: "user_local", Terms: s, WorkWait: time.Millisecond, Spool: t.TempDir(),
				Budgets: &app.Budgets{By: by, Actor: "user_local", Store: s},
				Audit:   &app.Audit{By: by, Store: s, Key: func(bool) (*audit.Key, error) { return key, nil }},
			}))
			t.Cleanup(web.Close)
			for _, c := range []struct {
				path, accept string
				lines        int // at least
				least        int64
			}{
				{"/api/v1/usage?by=call", "text/csv", largeLedger + 1, largeLedger * 100},
				{"/api/v1/usage?by=run", "text/csv", largeLedger/10 + 1, largeLedger},
				{"/api/v1/audit/verification", "application/json", 1, 100},
				{"/api/v1/audit/export", "*/*", largeLog, largeLog * 100},
			} {
				began := time.Now()
				var lines int
				var size int64
				var last string
				grown := heapGrows(t, func() { lines, size, last = fetchLines(t, web.URL+c.path, c.accept) })
				t.Logf("%s: %d lines, %d bytes in %v, %d KiB of heap", c.path, lines, size, time.Since(began).Round(time.Millisecond), grown>>10)
				if lines < c.lines || size < c.least {
					t.Errorf("%s: %d lines of %d bytes", c.path, lines, size)
				}
				if grown > largeHeap {
					t.Errorf("%s: the heap grows by %d bytes, and %d were sent", c.path, grown, size)
				}
				if strings.HasSuffix(c.path, "verification") {
					var r audit.Report
					if err := json.Unmarshal([]byte(last), &r); err != nil || r.Entries != largeLog || r.Checkpoints != largeLog || r.Covered != largeLog || len(r.Problems) > 0 {
						t.Errorf("read over: %.500s %v", last, err)
					}
				}
			}
		})
	}
}

// manyCalls fills the ledger: ten calls of each run, every second.
var manyCalls = fmt.Sprintf(`INSERT INTO ledger (id, workspace, run, reserved, settled, note, reserved_at, settled_at, provider, model, role, outcome, prompt, completion)
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
	SELECT 'call_' || (1000000 + i), '%s', 'run_' || (1000000 + i / 10), 2000, 1000, 'a call of a test', %d + 1000000 * CAST(i AS BIGINT), %[3]d + 1000000 * CAST(i AS BIGINT), 'openai', 'lab', 'coder', 'done', 100, 10 FROM n`,
	largeLedger, mgx.DefaultWorkspace, 20_000*largeDay)

func runOnFile(t testing.TB, path string, statements []string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // a transaction is of a connection
	for _, one := range statements {
		if _, err := db.ExecContext(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
}

// signedOften makes the entries of an audit log, and the statements by which each of
// them was signed as it was the last.
func signedOften(t testing.TB, s *store.Store, key *audit.Key) (statements []string) {
	t.Helper()
	const atOnce = 500
	for range largeLog / atOnce {
		var acts []mgx.Event
		for range atOnce {
			acts = append(acts, mgx.NewAudit(mgx.DefaultWorkspace, mgx.AuditData{Actor: "user_1", Action: "key.create", Resource: "key_1", Decision: mgx.AuditAllowed, Details: &mgx.AuditDetails{From: "192.0.2.7"}}))
		}
		if _, err := s.Commit(t.Context(), mgx.Change{Events: acts}); err != nil {
			t.Fatal(err)
		}
	}
	var at []int64
	for i := range tlog.StoredHashCount(largeLog) {
		at = append(at, i)
	}
	hashes, err := s.AuditHashes(t.Context(), mgx.DefaultWorkspace, at)
	if err != nil {
		t.Fatal(err)
	}
	tree := tlog.HashReaderFunc(func(at []int64) (some []tlog.Hash, _ error) {
		for _, i := range at {
			some = append(some, hashes[i])
		}
		return some, nil
	})
	for size := int64(1); size <= largeLog; size++ {
		root, err := tlog.TreeHash(size, tree)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("mgx/audit/%s\n%d\n%s\n%s\n", mgx.DefaultWorkspace, size, root, time.Now().UTC().Format(time.RFC3339))}, key)
		if err != nil {
			t.Fatal(err)
		}
		statements = append(statements, fmt.Sprintf(`INSERT INTO audit_checkpoints (workspace, size, note, created_at) VALUES ('%s', %d, '%s', %d)`, mgx.DefaultWorkspace, size, signed, time.Now().UnixMicro()))
	}
	return append([]string{"BEGIN"}, append(statements, "COMMIT")...)
}

// heapGrows is by how many bytes what is reachable grows at most while something is
// done.
func heapGrows(t testing.TB, do func()) (grown uint64) {
	t.Helper()
	live := func() uint64 { // as the collector found it, and not what was allocated since
		runtime.GC()
		at := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(at)
		return at[0].Value.Uint64()
	}
	ctx, stop := context.WithCancel(t.Context())
	seen := make(chan uint64)
	began := live()
	go func() {
		most := began
		for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; <-tick {
			most = max(most, live())
		}
		seen <- most
	}()
	do()
	stop()
	return <-seen - began
}

func fetchLines(t testing.TB, url, accept string) (lines int, size int64, last string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for in := bufio.NewReader(resp.Body); ; lines++ {
		line, err := in.ReadString('\n')
		if size += int64(len(line)); len(line) > 0 {
			last = line
		}
		if err == io.EOF {
			if len(line) > 0 {
				lines++
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %s", url, resp.Status, last)
	}
	return lines, size, last
}
