package store

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"mgx"
)

// Bounds. Reaching one is back-pressure or a page boundary, never a loss.
const (
	queueLen   = 1024             // changes waiting for the writer; callers then wait
	batchLen   = 256              // changes in one transaction
	readConns  = 4                // readers at once; more wait
	busyWait   = 30 * time.Second // for another process's transaction
	headsKept  = 1024             // streams whose head the writer remembers
	walKept    = 64 << 20         // bytes the write-ahead log keeps after a checkpoint
	MaxEvents  = 10_000           // events in one answer of Events
	maxPage    = 64 << 20         // bytes of event data in one answer of Events
	MaxListed  = 10_000           // rows in one answer of Runs or Executions
	maxFilters = 32               // globs in one query
)

// Options are what a store is given by whoever wires the program.
type Options struct {
	// Check validates an event and fills its Version before it is queued. It
	// is called on a copy, from any goroutine. Nil: none.
	Check func(*mgx.Event) error
	// Redact removes secrets from JSON that is about to be stored: event data,
	// journal outputs, failures, results, inputs and signal payloads. It must
	// return valid JSON and may not modify its argument. Nil: none.
	Redact func([]byte) []byte
	// ReadOnly opens an existing database without writing to it.
	ReadOnly bool
}

// Store is one open database. It is safe for use by many goroutines, and by
// many processes at once, each with its own Store.
type Store struct {
	path  string
	mode  string // how readers open it
	opts  Options
	reads *sql.DB
	watch *watcher

	writes *writer // nil when read-only
}

// Open opens the database file at path, creates it (0600, in a directory 0700)
// and brings its schema up to date. Errors are *mgx.Error of kind config with
// one of the codes in errors.go.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if o.ReadOnly {
		return openReadOnly(ctx, path, o)
	}
	if err := prepareFile(path); err != nil {
		return nil, err
	}
	w, err := openWriter(ctx, path)
	if err != nil {
		return nil, err
	}
	s, err := openReaders(ctx, path, "mode=rw", o)
	if err != nil {
		w.release()
		return nil, err
	}
	s.writes = w
	w.committed = s.watch.notify
	w.start()
	return s, nil
}

// Close waits until everything that was queued is committed and answered, then
// closes the file. Later calls of other methods fail.
func (s *Store) Close() error {
	var err error
	if s.writes != nil {
		err = s.writes.close()
	}
	s.watch.close()
	if e := s.reads.Close(); err == nil {
		err = e
	}
	return explain(s.path, err)
}

// Changed returns a channel that is closed at this process's next commit. Get a
// fresh one before each look at the data, or a commit in between is missed.
func (s *Store) Changed() <-chan struct{} { return s.watch.changed() }

// Version returns a number that differs from its last value when any process
// has committed in between. It says nothing else and is cheap to poll.
func (s *Store) Version(ctx context.Context) (int64, error) {
	v, err := s.watch.version(ctx)
	return v, explain(s.path, err)
}

// write runs f in the writer's next transaction and waits for its commit. If
// ctx ends before the writer has picked it up, f does not run; afterwards the
// outcome is waited for and returned.
func (s *Store) write(ctx context.Context, f func(*tx) error) error {
	if s.writes == nil {
		return readOnly(s.path)
	}
	return explain(s.path, s.writes.do(ctx, f))
}

// watcher tells when the database has changed: by this process through a
// channel, by any through SQLite's data version, which is only comparable on
// one connection.
type watcher struct {
	mu   sync.Mutex
	next chan struct{}

	read sync.Mutex
	conn *sql.Conn
}

func (w *watcher) changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.next
}

func (w *watcher) notify() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

func (w *watcher) version(ctx context.Context) (v int64, err error) {
	w.read.Lock()
	defer w.read.Unlock()
	err = w.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&v)
	return v, err
}

func (w *watcher) close() {
	w.read.Lock()
	defer w.read.Unlock()
	w.conn.Close()
}
