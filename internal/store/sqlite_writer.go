package store

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"mgx"
)

// writer owns the one connection that writes. What is handed to do is collected
// by a single goroutine into transactions: group commit.
type writer struct {
	db    *sql.DB
	conn  *sql.Conn
	stmts *prepared
	tx    *tx

	committed func() // called after each commit that changed something

	closing sync.RWMutex // held for reading while a job is handed over
	closed  bool
	queue   chan *job
	done    chan struct{} // closed when the goroutine has ended
}

func openWriter(ctx context.Context, path string, o Options) (*writer, error) {
	db, err := sql.Open("sqlite", dsn(path, "mode=rw"))
	if err != nil {
		return nil, explain(path, err)
	}
	db.SetMaxOpenConns(1)
	w := &writer{db: db, queue: make(chan *job, queueLen), done: make(chan struct{})}
	if w.conn, err = db.Conn(ctx); err == nil {
		err = w.prepare(ctx, path)
	}
	if err != nil {
		w.release()
		return nil, explain(path, err)
	}
	w.stmts = &prepared{conn: w.conn, stmts: map[string]*sql.Stmt{}}
	w.tx = newTx(w.stmts, o)
	return w, nil
}

// prepare looks before it touches: a foreign or newer file is not even switched
// to another journal mode.
func (w *writer) prepare(ctx context.Context, path string) error {
	have, err := sqliteDialect.schemaVersion(ctx, w.conn)
	if err != nil {
		return err
	}
	if err := sqliteDialect.checkVersion(path, have, false); err != nil {
		return err
	}
	if err := w.useLog(ctx); err != nil {
		return err
	}
	// What savepoints keep to go back to is small, and need not pass through a file.
	if _, err := w.conn.ExecContext(ctx, `PRAGMA temp_store = MEMORY`); err != nil {
		return err
	}
	return sqliteDialect.migrate(ctx, w.conn, path)
}

// useLog switches to write-ahead logging, which the file remembers. The switch
// is a write, so it is only asked for where it is needed.
func (w *writer) useLog(ctx context.Context) error {
	var mode string
	if err := w.conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		var err error
		if mode, err = w.switchToLog(ctx); err != nil {
			return err
		}
	}
	if mode != "wal" {
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "the file system does not support the database's write-ahead log; choose a local directory with --data")
	}
	var size int64
	return w.conn.QueryRowContext(ctx, `PRAGMA journal_size_limit = `+itoa(walKept)).Scan(&size)
}

// switchToLog returns the mode that is in force. When another process switches at
// the same moment SQLite does not wait for it, whatever the time-out: we do.
func (w *writer) switchToLog(ctx context.Context) (mode string, err error) {
	for began := time.Now(); ; {
		err = w.conn.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		if !busy(err) || time.Since(began) > busyWait {
			return mode, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return mode, ctx.Err()
		}
	}
}

func (w *writer) start() {
	go func() {
		defer close(w.done)
		for first := range w.queue {
			w.commit(gather(w.queue, first, batchLen))
		}
	}()
}

// do hands f to the writer and waits for its outcome.
func (w *writer) do(ctx context.Context, f func(*tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{ctx: ctx, run: f, reply: make(chan error, 1)}
	if err := w.hand(ctx, j); err != nil {
		return err
	}
	return j.outcome(ctx)
}

func (w *writer) hand(ctx context.Context, j *job) error {
	w.closing.RLock()
	defer w.closing.RUnlock()
	if w.closed {
		return mgx.Errorf(mgx.KindInternal, codeClosed, "the store is closed")
	}
	select {
	case w.queue <- j:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commit applies a batch and answers every job in it exactly once.
func (w *writer) commit(batch []*job) {
	taken := take(batch)
	if len(taken) == 0 {
		return
	}
	outcome, wrote := w.tx.group(taken)
	if wrote {
		w.committed()
	}
	for i, j := range taken {
		j.reply <- outcome[i]
	}
}

// close answers everything that was handed over, then releases the file.
func (w *writer) close() error {
	w.closing.Lock()
	was := w.closed
	w.closed = true
	if !was {
		close(w.queue)
	}
	w.closing.Unlock()
	<-w.done
	if was {
		return nil
	}
	w.stmts.close()
	return w.release()
}

func (w *writer) release() error {
	var err error
	if w.conn != nil {
		err = w.conn.Close()
	}
	if e := w.db.Close(); err == nil {
		err = e
	}
	return err
}
