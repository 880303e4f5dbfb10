package mgx

import "time"

// Consumer is a reader of the log inside MGX, and how far it has come. Webhooks
// appear as consumers too, under "webhook:" and their id.
type Consumer struct {
	Name     string `json:"name"`
	Position int64  `json:"position"` // everything up to it is dealt with or a dead letter
	Head     int64  `json:"head"`     // of the log at the same moment
	Lag      int64  `json:"lag"`      // events between the two, of any type
	Pending  int64  `json:"pending"`  // deliveries of a webhook that are left to make, or dead letters that wait to be tried again
	Dead     int64  `json:"dead"`     // dead letters

	// Failing is the event at which it is held up now; empty: none.
	Failing   EventID   `json:"failing,omitempty"`
	Attempts  int       `json:"attempts,omitempty"` // at that event
	LastError string    `json:"last_error,omitempty"`
	NextAt    time.Time `json:"next_at,omitzero"` // of the next attempt

	// Gap is set when events were removed before the consumer had read them.
	Gap *ConsumerGap `json:"gap,omitempty"`

	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"` // when the position moved last

	Lease   ConsumerLease `json:"-"` // as it stands, held or not
	Removed int64         `json:"-"` // greatest position of those removed events that it knows of, or that were so before it was made
}

// ConsumerGap says that retention removed events after the position After, and up
// to To at the most, before a consumer that stood at After had read them.
type ConsumerGap struct {
	Count int64     `json:"count"` // how often that has happened; the rest is about the last time
	After int64     `json:"after"`
	To    int64     `json:"to"`
	At    time.Time `json:"at"`
}

// ConsumerLease is the right to work for one consumer until it expires or a later
// term is given out.
type ConsumerLease struct {
	Consumer string
	Owner    string // empty: nobody's
	Term     int64  // raised at every claim
	Until    time.Time
}

// ConsumerAdvance is the part of a change that says how far a consumer has come.
type ConsumerAdvance struct {
	Lease    ConsumerLease
	Position int64       // does not move back
	Dead     *DeadLetter // an event that is given up, or waits to be tried again
	Settled  EventID     // a dead letter that is dealt with by this change after all
	Gap      *ConsumerGap
}

// DeadLetter is an event that a consumer has given up.
type DeadLetter struct {
	Consumer  string      `json:"consumer"`
	Event     EventID     `json:"event_id"`
	Workspace WorkspaceID `json:"workspace_id"`
	Type      EventType   `json:"event_type"`
	Stream    StreamID    `json:"stream"`
	Position  int64       `json:"position"`
	Attempts  int         `json:"attempts"` // before it was given up, or since it was asked to be tried again
	LastError string      `json:"last_error"`
	NextAt    time.Time   `json:"next_at,omitzero"` // zero: not tried again until somebody asks
	CreatedAt time.Time   `json:"created_at"`       // when it was given up first
	UpdatedAt time.Time   `json:"updated_at"`
}

// ConsumerFailure is an attempt at an event that failed and is to be repeated.
type ConsumerFailure struct {
	Event    EventID
	Attempts int
	Error    string
	NextAt   time.Time
}
