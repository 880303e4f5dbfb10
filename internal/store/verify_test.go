package store_test

import (
	"testing"

	"mgx"
	"mgx/internal/store"
)

// Verify finds each thing that must not be.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]string{
		"a lost event":           `DELETE FROM events WHERE position = 2`,
		"a lost last event":      `DELETE FROM events WHERE position = (SELECT MAX(position) FROM events)`,
		"a gap in a stream":      `UPDATE events SET sequence = sequence + 10 WHERE position = 4`,
		"a row that differs":     `UPDATE runs SET state = json_set(state, '$.tool_calls', 99)`,
		"a status that differs":  `UPDATE runs SET status = 'done'`,
		"a lost row":             `DELETE FROM runs`,
		"a row from nowhere":     `INSERT INTO runs SELECT 'run_x', workspace, task, status, sequence, created_at, updated_at, state, asked_at, stored, attached FROM runs`,
		"changed data":           `UPDATE events SET data = '{"phase":"other"}' WHERE type = 'run.phase.changed'`,
		"data that is not JSON":  `UPDATE events SET data = '{' WHERE type = 'run.phase.changed'`,
		"a stream in two spaces": `UPDATE events SET workspace = 'ws_other' WHERE position = 2`,
		"a step of no execution": `INSERT INTO steps (execution, ord, workspace, name, kind, input, attempts, sequence, recorded_at) VALUES ('exec_none', 1, 'w', 'n', 'k', 'i', 1, 1, 1)`,
		"events out of order":    `UPDATE events SET position = CASE position WHEN 2 THEN 3 ELSE 2 END + 100 WHERE position IN (2, 3); UPDATE events SET position = position - 100 WHERE position > 100`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := place(t)
			s := open(t, path, store.Options{})
			sc := begin(t, s)
			commit(t, s, mgx.Change{Events: []mgx.Event{sc.Event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: "plan"}), note(sc, "x"), note(sc, "y")}})
			if err := s.Verify(t.Context()); err != nil {
				t.Fatalf("a sound database: %v", err)
			}
			raw(t, path, tamper)
			err := s.Verify(t.Context())
			if !mgx.IsCode(err, store.CodeCorrupt) {
				t.Errorf("got %v", err)
			}
			t.Log(err)
		})
	}
}
