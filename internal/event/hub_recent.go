package event

import (
	"bytes"
	"slices"
	"sync"

	"mgx"
)

// recent holds the newest records, bounded by number and bytes, for subscribers
// that are only a little behind: a thousand that reconnect at once then share
// what one read from the store.
type recent struct {
	maxEvents, maxBytes int

	mu    sync.RWMutex
	list  []*Record // of adjacent positions
	bytes int
}

func (r *recent) add(batch []*Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range batch {
		if n := len(r.list); n > 0 && (r.list[n-1].Event.Position+1 != rec.Event.Position || erases(rec.Event)) {
			r.list, r.bytes = nil, 0
		}
		r.list = append(r.list, rec)
		r.bytes += rec.size()
	}
	drop := 0
	for drop < len(r.list) && (len(r.list)-drop > r.maxEvents || r.bytes > r.maxBytes) {
		r.bytes -= r.list[drop].size()
		drop++
	}
	clear(r.list[:drop]) // readers hold copies
	r.list = r.list[drop:]
}

// erases reports whether an event says that words before it go. Nobody is to get
// them from memory then; what reads the store gets what is left.
func erases(e mgx.Event) bool {
	return e.Type == mgx.DataErased || e.Type == mgx.AuditRecorded && bytes.Contains(e.Data, []byte(`.erase"`))
}

// after returns up to limit records that follow a position, and false when the
// first of them is not here.
func (r *recent) after(position int64, limit int) ([]*Record, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.list) == 0 {
		return nil, false
	}
	i := position + 1 - r.list[0].Event.Position
	if i < 0 || i >= int64(len(r.list)) {
		return nil, false
	}
	return slices.Clone(r.list[i:min(int(i)+limit, len(r.list))]), true
}
