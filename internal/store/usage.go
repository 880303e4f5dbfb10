package store

import (
	"context"
	"strconv"
	"time"

	"mgx"
)

// usageKeys are what the ledger is summed up by.
var usageKeys = map[mgx.UsageBy]string{
	mgx.ByModel:    `CASE WHEN model = '' THEN '' ELSE provider || '/' || model END`,
	mgx.ByProvider: `provider`,
	mgx.ByRole:     `role`,
	mgx.ByTask:     `task`,
	mgx.ByRun:      `run`,
	mgx.ByProject:  `project`,
	mgx.ByUser:     `user_id`,
	mgx.ByDay:      `CAST(reserved_at / ` + dayMicros + ` AS TEXT)`, // of five digits until 2243
}

const dayMicros = `86400000000`

// MaxUsage is how many lines one answer of Usage or Ledger holds at most.
const MaxUsage = 1000

// Usage sums the ledger up, a page of keys in their order.
func (s *Store) Usage(ctx context.Context, q mgx.UsageQuery) ([]mgx.UsageLine, error) {
	key, ok := usageKeys[q.By]
	if !ok {
		_, err := mgx.ParseUsageBy(string(q.By))
		if err == nil {
			err = mgx.Errorf(mgx.KindInternal, "bad_usage_by", "the ledger itself is read with Ledger")
		}
		return nil, err
	}
	w := usageWhere(q)
	if q.After != nil {
		after := *q.After
		if q.By == mgx.ByDay {
			day, err := time.Parse(time.DateOnly, after)
			if err != nil {
				return nil, mgx.Errorf(mgx.KindUsage, "bad_page", "%q is not the key of a day", after)
			}
			after = strconv.FormatInt(day.Unix()/86400, 10)
		}
		w.is(key+" >", after)
	}
	return list(ctx, s, func(row scanner) (mgx.UsageLine, error) { return scanUsage(row, q.By) },
		`SELECT `+key+`, COUNT(*), SUM(prompt), SUM(completion), SUM(cached), SUM(cache_write), SUM(reasoning), COALESCE(SUM(settled), 0),
			COALESCE(SUM(CASE WHEN outcome = 'lost' THEN settled END), 0), COUNT(*) - COUNT(settled), COALESCE(SUM(CASE WHEN settled IS NULL THEN reserved END), 0)
			FROM ledger`+w.String()+` GROUP BY 1 ORDER BY 1 LIMIT `+w.arg(bounded(q.Limit, MaxUsage)), w.args...)
}

func usageWhere(q mgx.UsageQuery) *where {
	w := &where{}
	w.is("workspace =", string(q.Workspace))
	if !q.Since.IsZero() {
		w.is("reserved_at >=", q.Since.UnixMicro())
	}
	if !q.Until.IsZero() {
		w.is("reserved_at <", q.Until.UnixMicro())
	}
	for _, c := range [][2]string{{"project", string(q.Project)}, {"task", string(q.Task)}, {"run", string(q.Run)}, {"user_id", string(q.User)}, {"role", q.Role}} {
		if c[1] != "" {
			w.is(c[0]+" =", c[1])
		}
	}
	return w
}

func scanUsage(row scanner, by mgx.UsageBy) (l mgx.UsageLine, err error) {
	err = row.Scan(&l.Key, &l.Calls, &l.Usage.Prompt, &l.Usage.Completion, &l.Usage.Cached, &l.Usage.CacheWrite, &l.Usage.Reasoning, &l.Cost, &l.Lost, &l.OpenRows, &l.Open)
	if err == nil && by == mgx.ByDay {
		day, err := strconv.ParseInt(l.Key, 10, 64)
		if err != nil {
			return l, badRow("day", err)
		}
		l.Key = time.Unix(day*86400, 0).UTC().Format(time.DateOnly)
	}
	return l, err
}

// Ledger lists the ledger's rows in the order in which they were made, or the other
// way round.
func (s *Store) Ledger(ctx context.Context, q mgx.UsageQuery) ([]mgx.LedgerEntry, error) {
	w, beyond, order := usageWhere(q), `>`, `reserved_at, id`
	if q.Newest {
		beyond, order = `<`, `reserved_at DESC, id DESC`
	}
	if q.After != nil {
		id := w.arg(*q.After)
		w.conds = append(w.conds, `(reserved_at, id) `+beyond+` ((SELECT reserved_at FROM ledger WHERE id = `+id+`), `+id+`)`)
	}
	return list(ctx, s, func(row scanner) (mgx.LedgerEntry, error) {
		e, err := scanEntry(row)
		return e.LedgerEntry, err
	}, `SELECT `+ledgerColumns+` FROM ledger`+w.String()+` ORDER BY `+order+` LIMIT `+w.arg(bounded(q.Limit, MaxUsage)), w.args...)
}
