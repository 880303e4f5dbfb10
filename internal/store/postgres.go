package store

import (
	"context"
	"database/sql"
	"errors"
	"hash/fnv"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"mgx"
)

// Bounds of one process on a PostgreSQL server, which serves 100 connections
// unless told otherwise.
const (
	writers     = 8                // transactions at once; what else comes is committed together
	groupLen    = 64               // jobs in one transaction
	patience    = 5 * time.Second  // how long a change waits for a server that is away
	doubt       = 30 * time.Second // how long it is asked whether a change was committed
	fewTries    = 4                // that a change has in any case: we may have been stopped meanwhile
	retries     = 12               // of a change that collided with others
	changeTime  = 2 * busyWait     // longest transaction
	stallTime   = 10 * time.Second // a transaction whose process does nothing is ended by the server
	numberWait  = 2 * time.Second  // for the sequencer, before Commit returns without positions
	connectWait = 5 * time.Second  // for one connection
	oldestPG    = 15               // major version
)

// server drives a PostgreSQL database.
type server struct {
	*beacon
	*numbering
	name   string
	clock  func() time.Time
	keep   *keeping
	sums   *sums
	config *pgx.ConnConfig
	db     *sql.DB // for writing
	reads  *sql.DB
	asked  readers // those and, where there is the wall, those behind it
	wall   Wall
	mason  mason
	schema string
	become string // see pipe

	partitions *partitions
	wakes      *wakes

	queue   chan *job
	working sync.WaitGroup // the writers
	gate    sync.RWMutex   // held for reading while a job is under way
	closed  bool
	stop    context.CancelFunc // ends what runs beside the changes
	beside  sync.WaitGroup
	leads   atomic.Bool   // the sequencer is in this process
	poke    chan struct{} // for it: something is in the outbox
	hints   chan struct{} // for the one in another process
}

func openPostgres(ctx context.Context, address string, o Options) (*Store, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindConfig, codeUnusable, "the address of the database cannot be used; it must read postgres://user@host:port/database")
	}
	d := &server{beacon: newBeacon(), name: shortAddress(address), clock: o.Now, keep: o.kept, sums: o.sums, config: session0(config)}
	d.numbering = newNumbering(d)
	d.queue = make(chan *job, queueLen)
	d.hints, d.poke = make(chan struct{}, 1), make(chan struct{}, 1)
	d.wakes = newWakes(d)
	err = d.prepare(ctx, o.ReadOnly)
	if err == nil {
		err = d.wakes.join(ctx, o.Waker)
	}
	if err != nil {
		d.closePools()
		return nil, d.explain(err)
	}
	d.start(o.ReadOnly)
	return &Store{driver: d, dialect: &postgresDialect, name: d.name, opts: o, reads: d.asked}, nil
}

// shortAddress is an address that may be shown: without password and parameters.
func shortAddress(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "postgres://"
	}
	short := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		short.User = url.User(u.User.Username())
	}
	return short.String()
}

// session0 adds what every connection is told.
func session0(c *pgx.ConnConfig) *pgx.ConnConfig {
	set := func(name, value string) {
		if _, given := c.RuntimeParams[name]; !given {
			c.RuntimeParams[name] = value
		}
	}
	set("application_name", "mgx")
	set("lock_timeout", itoa(busyWait.Milliseconds()))
	set("idle_in_transaction_session_timeout", itoa(stallTime.Milliseconds()))
	c.RuntimeParams["default_transaction_isolation"] = "read committed"
	c.DialFunc = dial
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectWait
	}
	return c
}

// prepare looks at the server before it touches it, migrates, and opens the pools.
func (d *server) prepare(ctx context.Context, readOnly bool) error {
	d.db = stdlib.OpenDB(*d.config)
	conn, err := d.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := d.suits(ctx, conn); err != nil {
		return err
	}
	have, err := postgresDialect.schemaVersion(ctx, conn)
	if err == nil {
		err = postgresDialect.checkVersion(d.name, have, readOnly)
	}
	if err == nil && !readOnly {
		err = postgresDialect.migrate(ctx, conn, d.name)
	}
	if err == nil {
		err = d.build(ctx, conn, readOnly)
	}
	if err != nil {
		return err
	}
	d.db.SetMaxOpenConns(writers + 1)
	d.db.SetMaxIdleConns(writers + 1)
	reading := d.config.Copy()
	reading.RuntimeParams["default_transaction_read_only"] = "on"
	// Where few rows are wanted of many, a plan for any values reads them all.
	reading.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	d.reads = stdlib.OpenDB(*reading)
	d.partitions = &partitions{reads: d.reads}
	d.reads.SetMaxOpenConns(readConns + 1)
	d.reads.SetMaxIdleConns(readConns + 1)
	d.asked.all = d.reads
	if d.wall.Stands {
		d.become = `SELECT set_config('role', ` + literal(d.wall.Role) + `, true), set_config('search_path', ` + literal(identifier(d.schema)) + `, true), set_config('mgx.workspace', $1, true)`
		d.asked.walled = d.behind(reading)
		d.asked.walled.SetMaxOpenConns(readConns + 1)
		d.asked.walled.SetMaxIdleConns(readConns + 1)
	}
	return nil
}

// suits refuses servers that are too old, and makes commits durable where the
// server's default is that they are not.
func (d *server) suits(ctx context.Context, conn *sql.Conn) error {
	var version int
	var sync string
	err := conn.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int / 10000, current_setting('synchronous_commit')`).Scan(&version, &sync)
	if err != nil {
		return err
	}
	if version < oldestPG {
		return mgx.Errorf(mgx.KindConfig, codeUnusable, "%s is PostgreSQL %d, and %d is the oldest that will do; use a newer server", d.name, version, oldestPG)
	}
	if sync == "off" {
		d.config.RuntimeParams["synchronous_commit"] = "on"
		d.db.Close()
		d.db = stdlib.OpenDB(*d.config)
	}
	return nil
}

// start begins what runs beside the changes.
func (d *server) start(readOnly bool) {
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	d.beside.Go(func() { d.listen(ctx) })
	d.beside.Go(func() { d.wakes.run(ctx) })
	if readOnly {
		return
	}
	for range writers {
		d.working.Go(d.work)
	}
	d.beside.Go(func() { d.sequence(ctx) })
	d.beside.Go(func() { d.hint(ctx) })
	d.beside.Go(func() { d.numbering.run(ctx) })
}

// version condenses which transactions are over: exactly those that a reader
// who asks now can see.
func (d *server) version(ctx context.Context) (int64, error) {
	var snapshot string
	if err := d.reads.QueryRowContext(ctx, `SELECT pg_current_snapshot()::text`).Scan(&snapshot); err != nil {
		return 0, err
	}
	h := fnv.New64a()
	h.Write([]byte(snapshot))
	return int64(h.Sum64()), nil
}

// outdated reports whether a partition is gone that was known.
func (d *server) outdated(err error) bool {
	gone := sqlState(err) == missingTable
	if gone {
		d.partitions.forget()
	}
	return gone
}

// close waits for the changes that are under way.
func (d *server) close() error {
	d.gate.Lock()
	was := d.closed
	d.closed = true
	d.gate.Unlock()
	if was {
		return nil
	}
	close(d.queue)
	d.working.Wait()
	d.stop()
	d.beside.Wait()
	d.wakes.leave()
	return d.closePools()
}

func (d *server) closePools() error {
	var all []error
	for _, db := range []*sql.DB{d.db, d.reads, d.asked.walled} {
		if db != nil {
			all = append(all, db.Close())
		}
	}
	return errors.Join(all...)
}

// do queues a job, waits for its commit, and for the positions of its events.
func (d *server) do(ctx context.Context, c *mgx.Change, f func(*tx) error) error {
	d.gate.RLock()
	defer d.gate.RUnlock()
	if d.closed {
		return mgx.Errorf(mgx.KindInternal, codeClosed, "the store is closed")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{ctx: ctx, run: f, change: c, reply: make(chan error, 1)}
	select {
	case d.queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	err := j.outcome(ctx)
	if err == nil && j.numbers != nil {
		d.await(j.numbers)
	}
	return err
}

// serverTime is the server's clock in microseconds. Leases and ages that several
// machines must agree on are by this clock.
const serverTime = `(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`
