package store

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"mgx"
)

// readers are the connections that read. What is asked on behalf of a workspace
// goes to those behind the wall, by its context, so that no query can forget.
type readers struct {
	all    *sql.DB
	walled *sql.DB // nil: there is no wall

	statements *statements // nil: none are kept
}

func (r readers) of(ctx context.Context) *sql.DB {
	if _, within := mgx.WorkspaceOf(ctx); within && r.walled != nil {
		return r.walled
	}
	return r.all
}

func (r readers) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if r.statements != nil {
		return r.statements.query(ctx, query, args)
	}
	return r.of(ctx).QueryContext(ctx, query, args...)
}

func (r readers) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if r.statements != nil {
		return r.statements.row(ctx, query, args)
	}
	return r.of(ctx).QueryRowContext(ctx, query, args...)
}

func (r readers) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return r.of(ctx).ExecContext(ctx, query, args...)
}

func (r readers) BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error) {
	return r.of(ctx).BeginTx(ctx, o)
}

// raw runs f with the driver's connection, which is as the context says.
func (r readers) raw(ctx context.Context, f func(*pgx.Conn) error) error {
	conn, err := r.of(ctx).Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		if w, ok := c.(*walledConn); ok {
			if err := w.enter(ctx); err != nil {
				return err
			}
			return f(w.Conn.Conn())
		}
		return f(c.(*stdlib.Conn).Conn())
	})
}

func (r readers) Close() error {
	err := r.all.Close()
	if r.walled != nil {
		err = errors.Join(err, r.walled.Close())
	}
	return err
}

// walledConnector makes connections that are the tenants' role from their
// beginning.
type walledConnector struct{ sqldriver.Connector }

// behind returns the connections of a configuration behind the wall.
func (d *server) behind(config *pgx.ConnConfig) *sql.DB {
	config = config.Copy()
	config.RuntimeParams["role"] = d.wall.Role
	config.RuntimeParams["search_path"] = identifier(d.schema) // the default one hangs on the role
	return sql.OpenDB(walledConnector{stdlib.GetConnector(*config)})
}

func (c walledConnector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &walledConn{Conn: conn.(*stdlib.Conn)}, nil
}

// walledConn is a connection behind the wall. Whatever is asked on it is asked
// for the workspace of its context, and for none when that has none: what was
// asked before on the same connection leaves nothing behind.
type walledConn struct {
	*stdlib.Conn
	workspace mgx.WorkspaceID // as the server has it
}

// enter says to the server which workspace it is.
func (c *walledConn) enter(ctx context.Context) error {
	ws, _ := mgx.WorkspaceOf(ctx)
	if ws == c.workspace {
		return nil
	}
	if c.Conn.Conn().PgConn().TxStatus() != 'I' { // what is set in it would go with it
		return errSwitched
	}
	_, err := c.Conn.ExecContext(ctx, `SELECT set_config('mgx.workspace', $1, false)`, []sqldriver.NamedValue{{Ordinal: 1, Value: string(ws)}})
	if err != nil {
		c.Conn.Close() // nobody knows which one it is
		return err
	}
	c.workspace = ws
	return nil
}

func (c *walledConn) QueryContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Rows, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	return c.Conn.QueryContext(ctx, query, args)
}

func (c *walledConn) ExecContext(ctx context.Context, query string, args []sqldriver.NamedValue) (sqldriver.Result, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	return c.Conn.ExecContext(ctx, query, args)
}

func (c *walledConn) BeginTx(ctx context.Context, o sqldriver.TxOptions) (sqldriver.Tx, error) {
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	return c.Conn.BeginTx(ctx, o)
}

// Prepare is refused: what was prepared could be run for another workspace later.
func (c *walledConn) Prepare(string) (sqldriver.Stmt, error) { return nil, errPrepared }

func (c *walledConn) PrepareContext(context.Context, string) (sqldriver.Stmt, error) {
	return nil, errPrepared
}

var (
	errPrepared = errors.New("store: no statements are prepared behind the wall")
	errSwitched = errors.New("store: a transaction behind the wall is of one workspace")
)
