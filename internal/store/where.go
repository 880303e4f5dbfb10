package store

import (
	"context"
	"database/sql"
	"strings"

	"mgx"
)

// where builds the condition of a query, numbering its parameters.
type where struct {
	conds []string
	args  []any
}

// arg adds a parameter and returns its placeholder.
func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + itoa(int64(len(w.args)))
}

// is adds "expression placeholder" for a value, as in is("run =", id).
func (w *where) is(expr string, v any) {
	w.conds = append(w.conds, expr+" "+w.arg(v))
}

// in adds a choice; an empty list means any.
func in[T ~string](w *where, column string, list []T) {
	if len(list) == 0 {
		return
	}
	marks := make([]string, len(list))
	for i, v := range list {
		marks[i] = w.arg(string(v))
	}
	w.conds = append(w.conds, column+" IN ("+strings.Join(marks, ", ")+")")
}

// globs adds a choice of patterns in which * stands for any text.
func (w *where) globs(column string, globs []string) error {
	if len(globs) == 0 {
		return nil
	}
	if len(globs) > maxFilters {
		return mgx.Errorf(mgx.KindUsage, "too_many_filters", "at most %d type filters are allowed", maxFilters)
	}
	likes := make([]string, len(globs))
	for i, g := range globs {
		if strings.Contains(g, "*") {
			likes[i] = column + " LIKE " + w.arg(likePattern(g)) + ` ESCAPE '\'`
		} else {
			likes[i] = column + " = " + w.arg(g)
		}
	}
	w.conds = append(w.conds, "("+strings.Join(likes, " OR ")+")")
	return nil
}

// likePattern turns a glob into a pattern of LIKE with \ as escape.
func likePattern(glob string) string { return strings.ReplaceAll(likeText(glob), "*", "%") }

// likeText is a pattern that matches just this text.
func likeText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(s)
}

func (w *where) String() string {
	if len(w.conds) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conds, " AND ")
}

// bounded returns how many rows to ask for.
func bounded(limit, most int) int {
	if limit <= 0 || limit > most {
		return most
	}
	return limit
}

// one is get for a row that its key finds, or that is the first or last of an index. On
// SQLite that is over sooner than anybody can be told to watch meanwhile whether the
// context ends, as database/sql and the driver do with a goroutine each: there the context
// counts until it is begun.
func one[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) (v T, found bool, err error) {
	if s.reads.statements != nil && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return get(ctx, s, scan, query, args...)
}

// scanner is a row of either kind.
type scanner interface{ Scan(dest ...any) error }

// list runs a query on the readers and scans every row.
func list[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	return fill(ctx, s, nil, scan, query, args...)
}

// fill is list that appends the rows to what has room for them.
func fill[T any](ctx context.Context, s *Store, all []T, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, s.explain(err)
		}
		all = append(all, v)
	}
	return all, s.explain(rows.Err())
}

// get runs a query on the readers that yields at most one row.
func get[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) (v T, found bool, err error) {
	v, err = scan(s.reads.QueryRowContext(ctx, query, args...))
	if err == sql.ErrNoRows {
		return v, false, nil
	}
	return v, err == nil, s.explain(err)
}
