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
//     or below p. An event is in the log, for readers, when it has its position.
//   - Idempotent: an event or a signal whose id is stored is not stored again.
//   - Fenced: a change under a lease that was lost is refused.
//   - Shared: several processes may have the database open; none relies on what
//     it remembers without asking whether somebody else wrote.
//   - Careful: a database that is damaged, from a newer MGX or from another
//     program is refused with a clear error, never repaired or overwritten.
//   - Patient: a server that restarts is found again; a change that lost its
//     connection is tried again, but never twice: its receipt says whether it was
//     committed.
//
// # How writing works
//
// Writers take every change that is queued, up to a bound, and commit them in one
// transaction, so that the price of a commit is shared and one that fails takes
// only itself along. The queue is bounded: when it is full, callers wait.
//
// SQLite has one writer, which numbers the log as it appends (sqlite_writer.go).
// On PostgreSQL several write at once, each under the locks of the streams and
// executions that its changes touch (postgres_group.go), and put their events
// into an outbox; of all processes one moves them into the log and numbers them
// (sequencer.go). Commit waits for that, so that its caller reads what it wrote.
//
// # Money
//
// A call reserves from every budget that applies to it (ledger.go) and is settled
// once; what nobody settles is lost in full. What counts against a budget in a
// period is one row, which a transaction reads, changes in memory and writes once
// (money.go). Reaching thresholds and refusing calls is told to the log
// (threshold.go).
//
// # Who may do what
//
// What changes people, memberships, roles, keys or sessions is an act (access.go): it
// is committed with its entry in the audit log, or not at all. Of passwords, keys and
// tokens only digests come here.
//
// # What leaves
//
// [Store.Retain] removes events whose time is over, whole months of them
// (classes.go), which on PostgreSQL are tables of their own (partitions.go,
// retain_partitions.go), and [Store.Erase] the words of a subject. Neither opens a gap that nobody knows of: a stream's baseline
// (baselines.go) counts what was removed and keeps the fold up to there, the last
// event of a stream always stays, and no number is given out twice.
//
// [Store.Backup] writes one moment of the database, as rows, to a file that
// [Restore] reads into either kind (backup_format.go). [Store.Export] hands out
// what is held on a subject.
//
// # One body of SQL
//
// The SQL is one body that both run: $n placeholders, upserts, RETURNING; times
// are microseconds from Go's clock, JSON is text, ids are text, every row names
// its workspace. What differs is in dialect.go. Migrations are numbered files per
// dialect, with equal numbers.
package store
