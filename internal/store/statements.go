package store

import (
	"context"
	"database/sql"
	"regexp"
	"sync"
)

// statements are those of readers of a SQLite file that were used last, prepared:
// preparing one takes as long as many take to run. PostgreSQL's driver does that by
// itself.
type statements struct {
	db *sql.DB

	mu   sync.Mutex
	all  map[string]*statement
	tick int64
}

// statement is prepared on each connection that it has run on.
type statement struct {
	*sql.Stmt
	users int   // who hold it
	used  int64 // the tick at which it was asked for last
}

// keptStatements bounds them.
const keptStatements = 100

func newStatements(db *sql.DB) *statements {
	return &statements{db: db, all: map[string]*statement{}}
}

// steady is a query for SQLite that stays prepared. Where a parameter by itself is the
// limit, SQLite prepares it anew each time that one is bound, to plan with its value:
// that takes longer than what most of these queries do.
func steady(query string) string { return limits.ReplaceAllString(query, `LIMIT $1 + 0`) }

var limits = regexp.MustCompile(`LIMIT (\$\d+)`)

// take returns a statement for a query, which release gives back once its rows are
// open: these keep it by themselves. Nil: there is none, and the query is to run
// as it is.
func (s *statements) take(ctx context.Context, query string) *statement {
	s.mu.Lock()
	if one := s.all[query]; one != nil {
		s.hold(one)
		s.mu.Unlock()
		return one
	}
	s.mu.Unlock()
	fresh, err := s.db.PrepareContext(ctx, steady(query))
	if err != nil {
		return nil // and so will the query
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[query]
	if one == nil && s.room() {
		one = &statement{Stmt: fresh}
		s.all[query] = one
	} else {
		defer fresh.Close() // somebody was faster, or all others are in use
	}
	if one != nil {
		s.hold(one)
	}
	return one
}

func (s *statements) hold(one *statement) {
	s.tick++
	one.used = s.tick
	one.users++
}

func (s *statements) release(one *statement) {
	s.mu.Lock()
	one.users--
	s.mu.Unlock()
}

// room makes some, by closing what nobody has asked for in the longest time.
func (s *statements) room() bool {
	if len(s.all) < keptStatements {
		return true
	}
	var oldest string
	for query, one := range s.all {
		if one.users == 0 && (oldest == "" || one.used < s.all[oldest].used) {
			oldest = query
		}
	}
	if oldest == "" {
		return false
	}
	s.all[oldest].Close()
	delete(s.all, oldest)
	return true
}

func (s *statements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	one := s.take(ctx, query)
	if one == nil {
		return s.db.QueryContext(ctx, query, args...)
	}
	defer s.release(one)
	return one.QueryContext(ctx, args...)
}

func (s *statements) row(ctx context.Context, query string, args []any) *sql.Row {
	one := s.take(ctx, query)
	if one == nil {
		return s.db.QueryRowContext(ctx, query, args...)
	}
	defer s.release(one)
	return one.QueryRowContext(ctx, args...)
}
