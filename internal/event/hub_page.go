package event

import "context"

// PageRequest asks for a part of what a subscriber would get.
type PageRequest struct {
	Actor    string
	Channels []Channel
	Types    []string
	Resume   string // token of the page before
	After    *int64 // instead: the position to begin after
	Limit    int    // most events; at most 500, 100 when 0
	Versions string // as in SubscribeRequest
	Reader   string
	Cloud    bool // events as CloudEvents
}

// Page is a part of the log, in position order.
type Page struct {
	Events [][]byte // envelopes or CloudEvents; shared, so not to be changed
	Resume string   // goes on after this page, here or in a subscription
	More   bool     // there was more when the page was read
}

const (
	maxListed   = 500
	maxScan     = 20_000  // events looked at for one page
	pageBytes   = 4 << 20 // of records in one page
	usualListed = 100
)

// Page reads a part of the log. It looks at a bounded part of it, so a page may
// be empty and still have More.
func (h *Hub) Page(ctx context.Context, r PageRequest) (Page, error) {
	f, err := h.grant(ctx, r.Actor, r.Channels, r.Types)
	if err != nil {
		return Page{}, err
	}
	reader, err := h.reader(r.Reader, r.Versions)
	if err != nil {
		return Page{}, err
	}
	if r.Resume == "" && r.After == nil {
		r.After = new(int64)
	}
	at, err := h.begin(ctx, f, r.Resume, r.After)
	if err != nil {
		return Page{}, err
	}
	watch, err := h.watcher(ctx, f, at, r.Resume)
	if err != nil {
		return Page{}, err
	}
	limit := min(r.Limit, maxListed)
	if limit <= 0 {
		limit = usualListed
	}
	var p Page
	size, step := 0, min(limit, batchEvents)
	head, first := h.last.Load(), at
	for at < head && len(p.Events) < limit && size < pageBytes && at-first < maxScan {
		list, end, err := h.read(ctx, f, at, head, &step, &watch)
		if err != nil {
			return Page{}, err
		}
		if over := len(p.Events) + len(list) - limit; over > 0 {
			list = list[:len(list)-over]
			end = list[len(list)-1].Event.Position
		}
		for _, rec := range list {
			text, err := h.encode(rec, reader, r.Cloud)
			if err != nil {
				return Page{}, err
			}
			p.Events, size = append(p.Events, text), size+len(text)
		}
		at = end
	}
	if watch.due(true) {
		if err := watch.look(ctx, h, f); err != nil {
			return Page{}, err
		}
	}
	p.More = at < head
	p.Resume = h.sign(token{epoch: h.epoch, position: at, filter: f.hash})
	return p, nil
}
