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

	token atomic.Pointer[signed]

	mu    sync.Mutex
	forms []form
}

// form is a record in one version of its type, as an envelope or a CloudEvent: the
// JSON is made once for all who read that.
type form struct {
	version string
	cloud   bool
	json    []byte
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

// in returns the envelope as a reader reads it; without a reader it is as it was
// stored, and so is one that cannot be read in the version asked for (its
// version says which it is), since nobody could ever get past it otherwise. The
// caller may not change it.
func (r *Record) in(read *Reader, cloud bool, server string) (text []byte, asked bool, err error) {
	e, asked := r.Event, true
	if read != nil {
		if e, err = read.Read(r.Event); err != nil {
			e, asked = r.Event, false
		}
	}
	text, err = r.form(e, cloud, server)
	return text, asked, err
}

// form is the JSON of an event, made once for each version and kind.
func (r *Record) form(e mgx.Event, cloud bool, server string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.forms {
		if f.version == e.Version && f.cloud == cloud {
			return f.json, nil
		}
	}
	var public any = e
	if cloud {
		public = ToCloudEvent(e, server)
	}
	text, err := json.Marshal(public)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, CodeBadEvent, "event %d in the log is not JSON; run mgx verify: %w", e.Position, err)
	}
	r.forms = append(r.forms, form{e.Version, cloud, text})
	return text, nil
}

// size is what a record costs in memory, about.
func (r *Record) size() int { return 2*len(r.Event.Data) + 1024 }
