package mgx

import "time"

// QueueKind is what waits in a queue.
type QueueKind string

const (
	QueueRuns       QueueKind = "runs"       // to be taken up
	QueueExecutions QueueKind = "executions" // whose time has come
	QueueApprovals  QueueKind = "approvals"  // runs that wait for a person
	QueueCalls      QueueKind = "calls"      // of models, under way
	QueueDeliveries QueueKind = "deliveries" // of webhooks
)

// Queue is how a queue of a workspace stands.
type Queue struct {
	Kind    QueueKind `json:"kind"`
	Waiting int64     `json:"waiting"`
	Working int64     `json:"working"`         // on what is no longer waiting
	Asleep  int64     `json:"asleep"`          // waits for something to happen, not for its turn
	Retried int64     `json:"retried"`         // of those that wait: failed at least once
	Dead    int64     `json:"dead"`            // given up, until somebody has them tried again
	Oldest  time.Time `json:"oldest,omitzero"` // since when the longest has waited
}
