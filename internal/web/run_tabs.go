package web

import (
	"bytes"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"time"

	"mgx"
	"mgx/internal/app"
)

// Events of one page of a timeline, and how far around it is looked for what
// belongs to its items.
const (
	windowEvents = 400
	windowAround = 300
)

// window is a part of a run's timeline.
type window struct {
	Phases      []*phase
	First, Last int64  // sequences of the events that it shows
	Head        int64  // of the last event that there is
	Older       string // address of the part before; empty: there is none
	Tail        bool   // it ends where the run does
	More        bool   // there are newer events than a part could show at once
}

// fillTimeline shows the newest part of the timeline, the one before an event, or,
// for pages that have one, what came or changed after an event.
func fillTimeline(v *visit, d *runPage) error {
	q := v.URL.Query()
	last := d.Run.Sequence
	if after, err := strconv.ParseInt(q.Get("after"), 10, 64); err == nil && v.part() {
		return v.since(d, after)
	}
	hi := last
	if before, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil && before > 0 {
		hi = min(last, before-1)
	}
	lo := max(0, hi-windowEvents)
	from := max(0, lo-windowAround)
	events, err := v.events(d, app.EventsQuery{After: from, Limit: int(hi-from) + windowAround})
	if err != nil {
		return err
	}
	w := &window{First: lo + 1, Last: hi, Head: last, Tail: hi == last}
	w.Phases = between(timeline(events), func(i *item) bool { return lo < i.First && i.First <= hi })
	var first int64
	if w.Phases, first = newest(w.Phases); first > 0 {
		lo, w.First = first-1, first
	}
	if lo > 0 {
		w.Older = older(d, lo+1)
	}
	d.Timeline = w
	if seq, err := strconv.ParseInt(q.Get("item"), 10, 64); err == nil {
		return v.inspect(d, seq)
	}
	return nil
}

func older(d *runPage, before int64) string {
	q := url.Values{"before": {strconv.FormatInt(before, 10)}}
	if d.At > 0 {
		q.Set("at", strconv.FormatInt(d.At, 10))
	}
	return d.Here() + "?" + q.Encode()
}

// since is what came or changed after an event.
func (v *visit) since(d *runPage, after int64) error {
	from := max(0, after-windowAround)
	events, err := v.events(d, app.EventsQuery{After: from})
	if err != nil {
		return err
	}
	w := &window{First: after + 1, Last: after, Head: d.Run.Sequence, Tail: true}
	for {
		w.Phases = between(timeline(events), func(i *item) bool { return i.Last > after })
		n := len(events)
		if weightOf(w.Phases) <= windowBytes || n < 2 || events[n-2].Sequence <= after {
			break
		}
		events = events[:max(n/2, sort.Search(n, func(i int) bool { return events[i].Sequence > after })+1)]
	}
	if len(events) > 0 {
		w.Last = max(after, events[len(events)-1].Sequence)
	}
	w.More = w.Last < d.Run.Sequence
	d.Timeline = w
	return nil
}

// events reads events of the run, none of them after the moment that is shown.
func (v *visit) events(d *runPage, q app.EventsQuery) ([]mgx.Event, error) {
	all, err := v.site.o.Work.Events(v.Context(), v.Actor, d.Run.ID, q)
	if d.At == 0 {
		return all, err
	}
	var then []mgx.Event
	for _, e := range all {
		if e.Sequence <= d.At {
			then = append(then, e)
		}
	}
	return then, err
}

// inspected is an event, whole.
type inspected struct {
	Event rawEvent
	Item  *item
	Lines []template.HTML // of the output
	Close string
}

// inspect opens one item beside the timeline.
func (v *visit) inspect(d *runPage, seq int64) error {
	if seq < 1 || seq > d.Run.Sequence {
		return nil
	}
	events, err := v.events(d, app.EventsQuery{After: seq - 1, Limit: 1 + windowAround})
	if err != nil || len(events) == 0 {
		return err
	}
	in := &inspected{Event: rawOf(events[0])}
	for _, p := range timeline(events) {
		for _, i := range p.Items {
			if i.First == seq && in.Item == nil {
				in.Item = i
			}
		}
	}
	if in.Item != nil && in.Item.Tool != nil && in.Item.Tool.Result != nil {
		in.Lines = drawnLines(in.Item.Tool.Result.Output)
	}
	in.Close = d.Here()
	if d.At > 0 {
		in.Close += "?at=" + strconv.FormatInt(d.At, 10)
	}
	in.Close += "#e" + strconv.FormatInt(seq, 10)
	d.Item = in
	return nil
}

func fillPlan(*visit, *runPage) error { return nil }

func fillChecks(v *visit, d *runPage) error {
	return eachOf(v, d, func(c mgx.ChecksData) { d.Checks = append(d.Checks, c) }, mgx.RunChecksCompleted)
}

func fillReview(v *visit, d *runPage) error {
	return eachOf(v, d, func(r mgx.ReviewData) { d.Reviews = append(d.Reviews, r) }, mgx.RunReviewCompleted)
}

// eachOf gives every event of a type to a function.
func eachOf[D any](v *visit, d *runPage, take func(D), typ mgx.EventType) error {
	events, err := v.events(d, app.EventsQuery{Types: []string{string(typ)}})
	d.Cut = len(events) == app.MaxEventsPage
	for _, e := range events {
		var one D
		if e.Decode(&one) == nil {
			take(one)
		}
	}
	return err
}

func fillArtifacts(v *visit, d *runPage) (err error) {
	d.Kept, err = v.site.o.Work.Artifacts(v.Context(), v.Actor, d.Run.ID)
	return err
}

// modelCall is a call of a model, and why it went where it did.
type modelCall struct {
	At time.Time
	mgx.LLMCallData
	Sequence int64
}

func fillRouting(v *visit, d *runPage) error {
	events, err := v.events(d, app.EventsQuery{Types: []string{string(mgx.LLMCallCompleted)}})
	d.Cut = len(events) == app.MaxEventsPage
	for _, e := range events {
		c := modelCall{At: e.Time, Sequence: e.Sequence}
		if e.Decode(&c.LLMCallData) == nil {
			d.Calls = append(d.Calls, c)
		}
	}
	if err != nil {
		return err
	}
	return v.tell(d, mgx.LLMProviderError, mgx.LLMProviderFallback)
}

// fillSecurity shows what was kept from happening, decided or reached out for.
func fillSecurity(v *visit, d *runPage) error {
	return v.tell(d, mgx.ApprovalRequested, mgx.ApprovalDecided, mgx.RunNetworkUsed, mgx.RunLimitReached, mgx.SuspiciousActivity, mgx.BreachDetected)
}

// tell is the timeline of some types alone.
func (v *visit) tell(d *runPage, types ...mgx.EventType) error {
	var names []string
	for _, t := range types {
		names = append(names, string(t))
	}
	events, err := v.events(d, app.EventsQuery{Types: names})
	d.Told = timeline(events)
	return err
}

// rawEvent is an event as it is kept.
type rawEvent struct {
	mgx.Event
	Text string // its data, indented
}

func rawOf(e mgx.Event) rawEvent {
	var b bytes.Buffer
	if json.Indent(&b, e.Data, "", "  ") != nil {
		b.Write(e.Data)
	}
	return rawEvent{e, b.String()}
}

const eventsPage = 100

func fillEvents(v *visit, d *runPage) error {
	hi := d.Run.Sequence
	if before, err := strconv.ParseInt(v.URL.Query().Get("before"), 10, 64); err == nil && before > 0 {
		hi = min(hi, before-1)
	}
	lo := max(0, hi-eventsPage)
	events, err := v.events(d, app.EventsQuery{After: lo, Limit: int(hi - lo)})
	if hi == lo {
		events = nil
	}
	for i := len(events) - 1; i >= 0; i-- {
		d.Events = append(d.Events, rawOf(events[i]))
	}
	if lo > 0 {
		d.Older = older(d, lo+1)
	}
	if hi < d.Run.Sequence {
		d.Newer = d.Here()
	}
	return err
}

// artifact sends what a run made, as a file: no browser draws it.
func (s *site) artifact(w http.ResponseWriter, r *http.Request) {
	v, err := s.enter(r)
	if err != nil && s.signIn(w, r, err) {
		return
	}
	var a app.Artifact
	var b []byte
	if err == nil {
		a, b, err = s.o.Work.Artifact(v.Context(), v.Actor, mgx.RunID(r.PathValue("run")), r.PathValue("name"))
	}
	if err != nil {
		s.fail(w, v, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", "attachment; filename*=UTF-8''"+url.PathEscape(a.Name))
	w.Write(b)
}
