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

	// insert stores an event and reports whether it was new.
	insert    func(*tx, mgx.Event) (bool, error)
	numbers   bool   // positions are given out as events are appended
	findEvent string // a stored event by its id
	head      string // sequence and workspace of a stream's last event
	allEvents string // what Verify reads: eventColumns and class of all that is appended

	lastPosition string                                  // of the log
	lastOfStream string                                  // sequence of the last event of a stream that is in the log
	logOf        func(*tx, mgx.StreamID) (string, error) // what to read a stream's events from
	unsplit      string                                  // the table whose events retention removes one by one

	// pick keeps one execution for a claim from everybody else; "": there is none.
	pick func(*tx, mgx.ClaimRequest) (mgx.ExecutionID, error)

	// What lets several transactions work with money at once; "": there is one.
	shareBudgets string // keeps budgets as they are until the commit
	alterBudgets string // waits for those who have that, and keeps others away
	lockRead     string // ends a query whose rows nobody else changes until the commit
	lockStream   func(*tx, mgx.StreamID) error
	readBudgets  func(*tx, []budgetKey) error  // into the transaction's money
	readCounters func(*tx, []counterKey) error // likewise

	// What keeps a workspace ($1) from being erased until the commit, and what waits
	// for all who have that and keeps others away; "": one writes at a time.
	shareWorkspace, closeWorkspace string

	// What finds tasks by their words: $1 is a match, $2 a workspace, $3 how many at most.
	search                             string
	searchAnd, searchQuote, searchOpen string                          // of a match: between words, around each, after one that only begins so
	elements                           func(placeholder string) string // of a JSON list, as rows

	like     string             // LIKE that takes the letters of English in either case
	hold     string             // what a reader of one moment says first; "": nothing
	snapshot sql.IsolationLevel // one moment of the database, for reading
	checks   []func(*verifier) error
}
