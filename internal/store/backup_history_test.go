package store_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/store"
)

// history writes a random history: runs at any stage, children, journals, money,
// signals taken and not, events outside of runs, and changes that fail.
func history(t *rapid.T, s *store.Store) (scopes []mgx.Scope) {
	words := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a\x00b", "\xff\xfe no UTF-8", "<&>\u2028", strings.Repeat("long ", 5000)}))
	try := func(c mgx.Change) {
		if _, err := s.Commit(t.Context(), c); err != nil && mgx.AsError(err).Kind != mgx.KindInternal && !mgx.IsCode(err, mgx.CodeBudgetExceeded) {
			t.Fatal(err)
		}
	}
	n := 0
	name := func() string { n++; return fmt.Sprintf("%s %d", words.Draw(t, "name"), n) }
	raw := func() json.RawMessage { b, _ := json.Marshal(words.Draw(t, "text")); return b }
	begin := func() {
		sc := newScope()
		task := mgx.TaskInfo{ID: sc.Task, Title: words.Draw(t, "title")}
		created := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task})
		created.Workspace, created.Task, created.Stream = sc.Workspace, sc.Task, mgx.StreamID(sc.Task)
		scopes = append(scopes, sc)
		try(mgx.Change{
			Create: []mgx.Execution{{Scope: sc, Workflow: "team", Input: raw(), Deadline: mgx.Now()}},
			Events: []mgx.Event{created, sc.Event(mgx.RunCreated, mgx.RunCreatedData{Task: task})},
		})
	}
	begin()
	any := func() mgx.Scope { return rapid.SampledFrom(scopes).Draw(t, "run") }
	t.Repeat(map[string]func(*rapid.T){
		"begin": func(*rapid.T) { begin() },
		"note":  func(*rapid.T) { try(mgx.Change{Events: []mgx.Event{note(any(), words.Draw(t, "text"))}}) },
		"tool": func(*rapid.T) {
			sc := any()
			try(mgx.Change{Events: []mgx.Event{
				sc.Event(mgx.ToolCalled, mgx.ToolCallData{CallID: "1"}),
				sc.Event(mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Status: "success", Tree: fmt.Sprintf("%040x", n)}),
			}})
		},
		"money": func(*rapid.T) {
			sc, id := any(), mgx.NewID[string]("rsv") // not one of an earlier history
			try(mgx.Change{Reserve: &mgx.Reservation{ID: id, Workspace: sc.Workspace, Run: sc.Run, Amount: 5, Note: words.Draw(t, "note")}})
			if rapid.Bool().Draw(t, "settled") {
				try(mgx.Change{Settle: []mgx.Settlement{{ID: id, Amount: 3}}, Events: []mgx.Event{sc.Event(mgx.LLMCallCompleted, mgx.LLMCallData{CostUSD: 3, PriceKnown: true})}})
			}
		},
		"step": func(*rapid.T) {
			sc := any()
			try(mgx.Change{Steps: []mgx.StepRecord{{Execution: sc.Execution, Name: name(), Kind: mgx.StepWork, Output: raw(), Attempts: 1}}})
		},
		"signal": func(*rapid.T) {
			sc := any()
			g := mgx.Signal{ID: mgx.NewSignalID(), Execution: sc.Execution, Name: name(), Payload: raw()}
			try(mgx.Change{Signals: []mgx.Signal{g}})
			if rapid.Bool().Draw(t, "taken") {
				try(mgx.Change{Consume: []mgx.SignalID{g.ID}})
			}
		},
		"wait": func(*rapid.T) {
			sc := any()
			try(mgx.Change{
				Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecWaiting, Awaits: []string{words.Draw(t, "name")}},
				Events: []mgx.Event{sc.Event(mgx.WorkflowWaiting, mgx.WaitingData{For: "x"})},
			})
		},
		"end": func(*rapid.T) {
			sc := any()
			try(mgx.Change{
				Update: &mgx.ExecutionUpdate{Execution: sc.Execution, Status: mgx.ExecDone, Result: raw()},
				Events: []mgx.Event{sc.Event(mgx.TaskCompleted, mgx.TaskCompletedData{Result: mgx.TaskResult{Kind: "answered", Answer: words.Draw(t, "answer")}})},
			})
		},
		"fail": func(*rapid.T) {
			sc := any()
			try(mgx.Change{Events: []mgx.Event{note(sc, "never")}, Consume: []mgx.SignalID{"sig_none"}})
		},
		"webhook": func(*rapid.T) {},
	})
	return scopes
}

// tables is the content of every table that there is, but for those that name
// the database itself.
func tables(t testing.TB, path string) map[string][]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	all := map[string][]string{}
	for _, name := range column(t, db, `SELECT name FROM sqlite_schema WHERE type = 'table'`) {
		if name == "mgx_schema" || name == "epoch" || name == "shared_keys" {
			continue
		}
		what := "*"
		switch {
		case strings.HasPrefix(name, "task_index"): // grows in other pieces, of the rows of task_words
			continue
		case name == "task_words":
			what = "workspace, task, words"
		}
		rows, err := db.Query(`SELECT ` + what + ` FROM ` + name)
		if err != nil {
			t.Fatal(err)
		}
		columns, _ := rows.Columns()
		all[name] = []string{}
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			if err := rows.Scan(into...); err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], fmt.Sprintf("%#v", values))
		}
		rows.Close()
		slices.Sort(all[name])
	}
	return all
}

func column(t testing.TB, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	return all
}

// textColumns lists every column of text, as table.column.
func textColumns(t testing.TB) []string {
	t.Helper()
	path := place(t)
	open(t, path, store.Options{})
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return column(t, db, `SELECT t.name || '.' || c.name FROM sqlite_schema t JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND c.type = 'TEXT'`)
}

// Every table is in a backup, or follows from others, or is of this database alone: its name, and the keys that
// only make sense with that name.
func TestEveryTableIsBackedUp(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	m, err := s.WriteBackup(t.Context(), io.Discard, store.BackupOptions{})
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"mgx_schema", "epoch", "shared_keys", "task_words"}
	for _, table := range m.Tables {
		known = append(known, table.Name)
	}
	for _, name := range textColumns(t) {
		if table, _, _ := strings.Cut(name, "."); !slices.Contains(known, table) {
			t.Errorf("table %s is in no backup: add it to backupTables", table)
		}
	}
}
