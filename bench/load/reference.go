package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	_ "modernc.org/sqlite" // as MGX reads
)

// serveReference is the least that a server of runs can be: it reads rows from
// SQLite, decodes their JSON, and answers with it; for one that is created it runs git
// as often as MGX does to look at a repository, and makes a row durable. It knows
// nobody, checks nothing, and keeps no record; what MGX costs more is what MGX does
// more.
func serveReference(ctx context.Context, rows string) error {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(filepath.Dir(rows), "reference.db")+"?_journal_mode=WAL&_synchronous=FULL")
	if err != nil {
		return err
	}
	defer db.Close()
	n, err := fillReference(ctx, db, rows)
	if err != nil {
		return err
	}
	page, err := db.PrepareContext(ctx, `SELECT state FROM runs WHERE id <= $1 ORDER BY id DESC LIMIT $2`)
	if err != nil {
		return err
	}
	answer := func(w http.ResponseWriter, r *http.Request, last, limit int) {
		all, err := readReference(r.Context(), page, last, limit)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"runs": all})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) { answer(w, r, n, 20) })
	mux.HandleFunc("GET /one", func(w http.ResponseWriter, r *http.Request) {
		i, _ := strconv.Atoi(r.FormValue("n"))
		answer(w, r, i%n, 1)
	})
	mux.HandleFunc("POST /create", func(w http.ResponseWriter, r *http.Request) {
		var task map[string]any
		err := json.NewDecoder(r.Body).Decode(&task)
		for i := 0; err == nil && i < gitCommands; i++ {
			err = exec.CommandContext(r.Context(), "git", "version").Run()
		}
		if err == nil {
			_, err = db.ExecContext(r.Context(), `INSERT INTO made (task) VALUES ($1)`, fmt.Sprint(task))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, r, 0, 1)
	})
	return listenAndServe(ctx, mux)
}

// gitCommands is how many an inspection takes.
const gitCommands = 2

func fillReference(ctx context.Context, db *sql.DB, rows string) (int, error) {
	text, err := os.ReadFile(rows)
	if err != nil {
		return 0, err
	}
	var from struct {
		Runs []json.RawMessage `json:"runs"`
	}
	if err := json.Unmarshal(text, &from); err != nil || len(from.Runs) == 0 {
		return 0, fmt.Errorf("%s holds no runs: %v", rows, err)
	}
	if _, err := db.ExecContext(ctx, `CREATE TABLE runs (id INTEGER PRIMARY KEY, state TEXT NOT NULL); CREATE TABLE made (task TEXT NOT NULL)`); err != nil {
		return 0, err
	}
	for i, run := range from.Runs {
		if _, err := db.ExecContext(ctx, `INSERT INTO runs (id, state) VALUES ($1, $2)`, i, string(run)); err != nil {
			return 0, err
		}
	}
	return len(from.Runs), nil
}

func readReference(ctx context.Context, page *sql.Stmt, last, limit int) ([]any, error) {
	rows, err := page.QueryContext(ctx, last, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []any
	for rows.Next() {
		var state string
		var run any
		if err := rows.Scan(&state); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(state), &run); err != nil {
			return nil, err
		}
		all = append(all, run)
	}
	return all, rows.Err()
}

// listenAndServe says where it listens, and serves until the context ends.
func listenAndServe(ctx context.Context, h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: h}
	fmt.Printf("http://%s\n", l.Addr())
	context.AfterFunc(ctx, func() { web.Close() })
	if err := web.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
