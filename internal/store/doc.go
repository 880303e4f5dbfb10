// Package store keeps everything MGX must not lose, and is the only place with
// SQL. It imports only the domain words of package mgx.
//
// The unit of writing is one [mgx.Change]: state, events, money, journal and
// signals that become true together or not at all. A run's row is the fold of
// its stream by [mgx.Run.Apply], computed in the transaction that appends.
//
// # Promises
//
//   - Durable: when Commit returns without error the change is on disk
//     (write-ahead log, an fsync per commit). When it returns an error nothing
//     of the change is there.
//   - Ordered: sequences are 1, 2, 3 … within a stream, positions 1, 2, 3 … over
//     the log, and a reader that has seen position p never finds a new event at
//     or below p.
//   - Idempotent: an event or a signal whose id is stored is not stored again.
//   - Fenced: a change under a lease that was lost is refused.
//   - Shared: several processes may have the file open; none relies on what it
//     remembers without asking the file whether somebody else wrote.
//   - Careful: a file that is damaged, from a newer MGX or from another program
//     is refused with a clear error, never repaired or overwritten.
//
// # How writing works
//
// One goroutine owns the writing connection. It takes every change that is
// queued, up to a bound, and commits them in one transaction with a savepoint
// around each, so that the price of an fsync is shared and one that fails takes
// only itself along. The queue is bounded: when it is full, callers wait.
//
// The SQL is written so that PostgreSQL can run it: $n placeholders, upserts,
// RETURNING; times are microseconds from Go's clock, JSON is text, ids are text,
// every row names its workspace. Migrations are numbered files per dialect.
package store
