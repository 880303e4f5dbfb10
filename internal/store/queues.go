package store

import (
	"context"

	"mgx"
)

// Queues tells how the queues of a workspace stand, in the order of their kinds.
func (s *Store) Queues(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.Queue, error) {
	now := mgx.Now().UnixMicro()
	var all []mgx.Queue
	for _, q := range []struct {
		kind  mgx.QueueKind
		query string // waiting, working, asleep, retried, dead, oldest
		args  []any
	}{
		{mgx.QueueRuns, `SELECT COALESCE(SUM(CASE WHEN status = 'queued' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN status = 'running' THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN status = 'waiting' THEN 1 ELSE 0 END), 0), 0, 0, COALESCE(MIN(CASE WHEN status = 'queued' THEN created_at END), 0)
			FROM runs WHERE workspace = $1 AND status IN ('queued', 'running', 'waiting')`, nil},
		{mgx.QueueExecutions, `SELECT COALESCE(SUM(CASE WHEN at_work = 0 AND wake_at <= $2 THEN 1 ELSE 0 END), 0), COALESCE(SUM(at_work), 0),
			COALESCE(SUM(CASE WHEN at_work = 0 AND (wake_at IS NULL OR wake_at > $2) THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN at_work = 0 AND wake_at <= $2 AND term > 1 THEN 1 ELSE 0 END), 0), 0, COALESCE(MIN(CASE WHEN at_work = 0 AND wake_at <= $2 THEN wake_at END), 0)
			FROM (SELECT wake_at, term, CASE WHEN owner <> '' AND lease_until > $2 THEN 1 ELSE 0 END AS at_work FROM executions WHERE workspace = $1 AND status IN ('ready', 'waiting')) x`, []any{now}},
		{mgx.QueueApprovals, `SELECT COUNT(*), 0, 0, 0, 0, COALESCE(MIN(asked_at), 0) FROM runs WHERE workspace = $1 AND asked_at IS NOT NULL`, nil},
		{mgx.QueueCalls, `SELECT 0, COUNT(*), 0, 0, 0, COALESCE(MIN(reserved_at), 0) FROM ledger WHERE workspace = $1 AND settled IS NULL`, nil},
		{mgx.QueueDeliveries, `SELECT COALESCE(SUM(CASE WHEN d.status = 'pending' THEN 1 ELSE 0 END), 0), 0, 0, COALESCE(SUM(CASE WHEN d.status = 'pending' AND d.attempts > 0 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN d.status = 'dead' THEN 1 ELSE 0 END), 0), COALESCE(MIN(CASE WHEN d.status = 'pending' THEN d.created_at END), 0)
			FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook WHERE w.workspace = $1 AND d.status IN ('pending', 'dead')`, nil},
	} {
		one, _, err := get(ctx, s, func(row scanner) (m mgx.Queue, err error) {
			var oldest int64
			err = row.Scan(&m.Waiting, &m.Working, &m.Asleep, &m.Retried, &m.Dead, &oldest)
			m.Oldest = timeOf(oldest)
			return m, err
		}, q.query, append([]any{string(ws)}, q.args...)...)
		if err != nil {
			return nil, err
		}
		one.Kind = q.kind
		all = append(all, one)
	}
	return all, nil
}
