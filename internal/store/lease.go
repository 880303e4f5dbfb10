package store

import (
	"time"

	"mgx"
)

// leaseTable is a table each row of which one process at a time works for, by a
// lease with a term: columns owner, lease_until and term. What was written under
// a lease that is lost is refused.
type leaseTable struct{ table, key, what string }

var (
	leasedWebhooks  = leaseTable{"webhooks", "id", "webhook"}
	leasedConsumers = leaseTable{"consumers", "name", "consumer"}
)

// lease is a row's lease as somebody saw it or has it.
type lease struct {
	id, owner string
	term      int64
	until     time.Time
}

// claim takes the lease of a row that stands as it was seen; false: somebody else
// was faster, or it is gone. also is a further condition.
func (l leaseTable) claim(t *tx, seen lease, owner string, until time.Time, also string) (bool, error) {
	n, err := t.exec(`UPDATE `+l.table+` SET owner = $1, term = $2, lease_until = $3 WHERE `+l.key+` = $4 AND owner = $5 AND term = $6`+also+` AND (lease_until IS NULL OR lease_until = $7)`,
		owner, seen.term+1, micros(utc(until)), seen.id, seen.owner, seen.term, seen.until.UnixMicro())
	return n == 1, err
}

// release gives a lease back and reports whether it was still held.
func (l leaseTable) release(t *tx, held lease) (bool, error) {
	n, err := t.exec(`UPDATE `+l.table+` SET owner = '', lease_until = NULL WHERE `+l.key+` = $1 AND owner = $2 AND term = $3`, held.id, held.owner, held.term)
	return n == 1, err
}

// hold refuses a change under a lease that was lost. It writes the row, which
// keeps it from others until the transaction ends.
func (l leaseTable) hold(t *tx, held lease) error {
	n, err := t.exec(`UPDATE `+l.table+` SET term = $1 WHERE `+l.key+` = $2 AND owner = $3 AND term = $1`, held.term, held.id, held.owner)
	if err == nil && n == 0 {
		err = mgx.Errorf(mgx.KindStopped, mgx.CodeFenced, "%s no longer has the lease of %s %s: it was taken over, given back or removed", held.owner, l.what, held.id)
	}
	return err
}
