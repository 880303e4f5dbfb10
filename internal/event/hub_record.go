package event

import (
	"encoding/json"
	"sync"
	"sync/atomic"

	"mgx"
)

// Record is an event with its JSON form, shared by all who get it. It is never
// modified.
type Record struct {
	Event mgx.Event

	once  sync.Once
	json  []byte
	err   error
	token atomic.Pointer[signed]
}

// signed is the resume token after a record for one filter. Most of those who
// get an event at the same time have the same filter.
type signed struct {
	filter [8]byte
	text   string
}

func records(page []mgx.Event) []*Record {
	block := make([]Record, len(page))
	out := make([]*Record, len(page))
	for i := range page {
		block[i].Event = page[i]
		out[i] = &block[i]
	}
	return out
}

// JSON returns the envelope. The caller may not change it.
func (r *Record) JSON() []byte {
	r.encode()
	return r.json
}

func (r *Record) encode() error {
	r.once.Do(func() {
		if r.json, r.err = json.Marshal(r.Event); r.err != nil {
			r.err = mgx.Errorf(mgx.KindInternal, CodeBadEvent, "event %d in the log is not JSON; run mgx verify: %w", r.Event.Position, r.err)
		}
	})
	return r.err
}

// size is what a record costs in memory, about.
func (r *Record) size() int { return 2*len(r.Event.Data) + 1024 }
