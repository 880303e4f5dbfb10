package store

import (
	"context"
	"database/sql"
	"iter"
	"strings"
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
	// Redact returns what removes the secrets of a workspace, and of no other, from
	// JSON of it that is about to be stored: event data, journal outputs, failures,
	// results, inputs and signal payloads; for an empty workspace, from what may be
	// anybody's. It must return valid JSON and may not modify its argument. Nil: none.
	Redact func(of mgx.WorkspaceID) func([]byte) []byte
	// Keep says for how long events are kept, by type; a type that it does not name
	// is kept for ever. It gives each event its class (classes.go). Nil: events have
	// no class.
	Keep map[mgx.EventType]time.Duration
	// Now is the clock by which statuses and money change. Nil: mgx.Now.
	Now func() time.Time
	// Waker is how processes that share a PostgreSQL database wake each other. Nil:
	// by that database. SQLite has no use for one and refuses it.
	Waker Waker
	// ReadOnly opens an existing database without writing to it.
	ReadOnly bool

	// Vouch signs what an erasure says it took out of an audit log, so that nobody else
	// can say so. Nil: it is not signed, and does not count when the log is verified.
	Vouch func(text string) (signed string, err error)

	// Beside says how many bytes of files are kept for a workspace, besides what its
	// runs were given. They count against its quota. Nil: none.
	Beside func(mgx.WorkspaceID) (int64, error)

	kept *keeping // Keep, as it is now
	sums *sums
}

// Store is one open database. It is safe for use by many goroutines, and by
// many processes at once, each with its own Store.
type Store struct {
	driver
	dialect *dialect
	alerts  alerts
	name    string // of the database, for people: a path, or an address without its password
	opts    Options
	reads   readers
	trouble lastTrouble
	decoded decodedRuns
}

// driver is what each database does in its own way.
type driver interface {
	// do runs f, which applies c if that is not nil, in a transaction and waits
	// until it is committed. If ctx ends before f has been picked up, f does not
	// run; afterwards the outcome is waited for. f may run several times, of which
	// the last one counts.
	do(ctx context.Context, c *mgx.Change, f func(*tx) error) error
	changed() <-chan struct{}
	version(ctx context.Context) (int64, error)
	// spans divides the log after a query's position into parts that are read one
	// after the other until there are limit events. When reading one fails and the
	// division is outdated, the query begins again.
	spans(ctx context.Context, q EventQuery, limit int) iter.Seq2[span, error]
	outdated(err error) bool
	// events reads events, of which from says the rows, until take has enough.
	events(ctx context.Context, from string, args []any, take func(mgx.Event) bool) error
	// try commits a write that changes nothing.
	try(ctx context.Context) error
	explain(err error) error
	close() error
}

// Open opens a database and brings its schema up to date. A place that begins
// with postgres:// or postgresql:// is the address of a PostgreSQL database (15
// or later; the database itself must exist), anything else the path of a SQLite
// file, which is created (0600, in a directory 0700). Errors are *mgx.Error of
// kind config with one of the codes in errors.go.
func Open(ctx context.Context, place string, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = mgx.Now
	}
	o.kept, o.sums = &keeping{}, &sums{}
	o.kept.set(o.Keep)
	if IsPostgres(place) {
		return openPostgres(ctx, place, o)
	}
	if o.Waker != nil {
		return nil, needsPostgres()
	}
	return openSQLite(ctx, place, o)
}

// IsPostgres reports whether Open would take a place for a PostgreSQL address.
func IsPostgres(place string) bool {
	return strings.HasPrefix(place, "postgres://") || strings.HasPrefix(place, "postgresql://")
}

// Close waits until everything that was queued is committed and answered, then
// closes the database. Later calls of other methods fail.
func (s *Store) Close() error {
	err := s.driver.close()
	if e := s.reads.Close(); err == nil {
		err = e
	}
	return s.explain(err)
}

// Changed returns a channel that is closed at this process's next commit. Get a
// fresh one before each look at the data, or a commit in between is missed.
func (s *Store) Changed() <-chan struct{} { return s.changed() }

// Version returns a number that differs from its last value when any process
// has committed in between. It says nothing else (on a server it also moves with
// what others do there) and is cheap to poll.
func (s *Store) Version(ctx context.Context) (int64, error) {
	v, err := s.version(ctx)
	return v, s.explain(err)
}

// write runs f in a transaction of its own and waits for its commit.
func (s *Store) write(ctx context.Context, f func(*tx) error) error {
	return s.writeChange(ctx, nil, f)
}

// writeChange does the same for an f that appends the events of a change.
func (s *Store) writeChange(ctx context.Context, c *mgx.Change, f func(*tx) error) error {
	if s.opts.ReadOnly {
		return readOnly(s.name)
	}
	return s.trouble.note(s.explain(s.do(ctx, c, f)))
}

// moment begins to read one moment of the database.
func (s *Store) moment(ctx context.Context) (*sql.Tx, error) {
	tx, err := s.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: s.dialect.snapshot})
	if err == nil && s.dialect.hold != "" {
		if _, err = tx.ExecContext(ctx, s.dialect.hold); err != nil {
			tx.Rollback()
		}
	}
	return tx, err
}

// beacon is a channel that is closed at each change and then replaced.
type beacon struct {
	mu   sync.Mutex
	next chan struct{}
}

func newBeacon() *beacon { return &beacon{next: make(chan struct{})} }

func (b *beacon) changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

func (b *beacon) notify() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}
