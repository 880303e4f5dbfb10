package store

import (
	"database/sql"

	"mgx"
)

// dialect is what the two databases say differently. All other SQL is one body
// that runs on both.
type dialect struct {
	migrations []migration
	begin      []string // begins a transaction that migrates, one at a time
	schema     string   // counts our schema table, then all tables

	insertEvent string // of eventFields, and of the position where numbers is set
	numbers     bool   // positions are given out as events are appended
	findEvent   string // a stored event by its id
	head        string // sequence and workspace of a stream's last event
	allEvents   string // what Verify reads: eventColumns of all that is appended

	// lock takes what nobody else may change while a change is applied.
	lock func(*tx, mgx.Change) error
	// pick keeps one execution for a claim from everybody else; "": there is none.
	pick func(*tx, mgx.ClaimRequest) (mgx.ExecutionID, error)

	snapshot sql.IsolationLevel // one moment of the database, for reading
	checks   []func(*verifier) error
}
