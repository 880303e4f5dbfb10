package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"

	"mgx"
)

// A search finds the tasks of a workspace, and their runs, that have every word that
// is asked for, in their title or their description, in either case. A word is found
// by its beginning. An index of the database tells the tasks; where they are very many
// the newest are looked at one by one instead, which soon fills a page.

// MaxFound is how many tasks the index tells at most.
const MaxFound = 2000

// search is a part of a condition: which tasks are meant.
type search struct {
	words []string
	tasks string // their ids, as JSON; "": too many to name
}

// find prepares a search. Nothing is found by a text that has no words.
func (s *Store) find(ctx context.Context, ws mgx.WorkspaceID, text string) (f search, none bool, err error) {
	if f.words = wordsOf(text); len(f.words) == 0 {
		return f, true, nil
	}
	// The index is asked for a workspace's rows, and what it tells is read as its own.
	d := s.dialect
	ids, err := list(mgx.ForInstallation(ctx), s, scanText, d.search, match(ws, f.words, d.searchAnd, d.searchQuote, d.searchOpen), string(ws), MaxFound+1)
	if err != nil || len(ids) > MaxFound {
		return f, false, err
	}
	f.tasks = mustJSON(ids)
	return f, len(ids) == 0, nil
}

// found narrows to the tasks of a search, which column names.
func (w *where) found(column string, f search, d *dialect) {
	if f.tasks != "" {
		w.conds = append(w.conds, column+` IN (`+d.elements(w.arg(f.tasks))+`)`)
		return
	}
	var cond strings.Builder
	cond.WriteString(`EXISTS (SELECT 1 FROM task_words WHERE task_words.task = ` + column)
	for _, word := range f.words { // which have nothing that LIKE takes for more than it is
		cond.WriteString(` AND words LIKE ` + w.arg("% "+word+"%"))
	}
	w.conds = append(w.conds, cond.String()+`)`)
}

// indexTask adds the words of a task.
func (t *tx) indexTask(ws mgx.WorkspaceID, task mgx.TaskInfo) error {
	return t.put(insertTaskWords, string(ws), string(task.ID), keptWords(ws, task))
}

const insertTaskWords = `INSERT INTO task_words (workspace, task, words) VALUES ($1, $2, $3)`

// searchSince is the schema that has the words of tasks.
const searchSince = 19

// indexTasks adds the words of all tasks to a database that has none.
func indexTasks(ctx context.Context, conn *sql.Conn) error {
	for after := ""; ; {
		page, err := tasksAfter(ctx, conn, after)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, t := range page {
			if _, err := conn.ExecContext(ctx, insertTaskWords, string(t.Workspace), string(t.ID), keptWords(t.Workspace, t.TaskInfo)); err != nil {
				return err
			}
		}
		after = string(page[len(page)-1].ID)
	}
}

func tasksAfter(ctx context.Context, conn session, after string) (page []mgx.Task, err error) {
	rows, err := conn.QueryContext(ctx, `SELECT id, workspace, data FROM tasks WHERE id > $1 ORDER BY id LIMIT 500`, after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t mgx.Task
		var id mgx.TaskID
		var data string
		if err := rows.Scan(&id, &t.Workspace, &data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(data), &t.TaskInfo); err != nil {
			return nil, badRow("task", err)
		}
		t.ID = id
		page = append(page, t)
	}
	return page, rows.Err()
}
