package app

import "context"

// auditWindow is how many entries are read at once on the way back through a log,
// and newestRead how many one page looks at.
const (
	auditWindow = 1000
	newestRead  = 20_000
)

// Newest returns chosen entries before a sequence (0: from the end), the newest
// first, about so many at the most, and the sequence to go on before; 0: there are
// none further back. A page may hold fewer than there are, even none.
func (a *Audit) Newest(ctx context.Context, f AuditFilter, before int64, limit int) (page []AuditEntry, next int64, err error) {
	if err := f.check(); err != nil {
		return nil, 0, err
	}
	size, err := a.Store.AuditSize(ctx, a.By.Workspace)
	if err != nil {
		return nil, 0, err
	}
	if before < 1 || before > size+1 {
		before = size + 1
	}
	for end := max(1, before-newestRead); before > end && len(page) < limit; {
		from := max(end, before-auditWindow)
		some, err := a.between(ctx, f, from, before)
		if err != nil {
			return nil, 0, err
		}
		before = from
		for i := len(some) - 1; i >= 0; i-- {
			if len(page) == limit {
				before = some[i].Sequence + 1
				break
			}
			page = append(page, some[i])
		}
	}
	if before > 1 {
		next = before
	}
	return page, next, nil
}

// between are the chosen entries from one sequence to before another.
func (a *Audit) between(ctx context.Context, f AuditFilter, from, before int64) (some []AuditEntry, err error) {
	err = a.each(ctx, f, from-1, func(e AuditEntry, chosen bool) bool {
		if chosen && e.Sequence < before {
			some = append(some, e)
		}
		return e.Sequence+1 < before
	})
	return some, err
}
