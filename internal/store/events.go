package store

import (
	"context"
	"encoding/json"
	"iter"
	"strings"
	"time"

	"mgx"
)

const runPrefix = "run_" // of the streams that are folded into a run's row

// eventColumns are what scanEvent reads, and eventFields all of it that an event
// brings along.
const (
	eventColumns = `position, ` + eventFields
	eventFields  = `id, workspace, stream, sequence, type, version, time, project, task, run, agent, execution, correlation, causation, traceparent, data`
	storedFields = eventFields + `, class` // of a row, but for its position
)

// expect refuses unless a stream stands where the caller believes.
func (t *tx) expect(v mgx.StreamVersion) error {
	h, err := t.head(v.Stream)
	if err != nil {
		return err
	}
	if h.sequence != v.Version {
		return mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "stream %s is at %d, not at %d: somebody else has appended; read it again", v.Stream, h.sequence, v.Version)
	}
	return nil
}

// append numbers and stores one event and folds it. An event that is stored
// already is returned as it is.
func (t *tx) append(e mgx.Event) (mgx.Event, error) {
	if err := t.end(); err != nil {
		return e, err
	}
	if t.tenant.within && t.tenant.workspace != e.Workspace {
		return e, mgx.Errorf(mgx.KindInternal, "wrong_workspace", "event %s is of another workspace than the one on whose behalf it was written", e.ID)
	}
	h, err := t.head(e.Stream)
	if err != nil {
		return e, err
	}
	if e.Type == mgx.AuditRecorded {
		if e, err = e.KeptFor(classOf(t.keep.now(), e, t.now)); err != nil {
			return e, err
		}
	}
	e.Sequence, e.Position = h.sequence+1, 0
	if t.d.numbers {
		e.Position = t.log.position + 1
	}
	stored, err := t.d.insert(t, e)
	if err != nil {
		return e, err
	}
	if !stored {
		return t.again(e)
	}
	if h.sequence > 0 && h.workspace != e.Workspace {
		return e, mgx.Errorf(mgx.KindInternal, "wrong_workspace", "stream %s belongs to another workspace than event %s", e.Stream, e.ID)
	}
	if err := t.admits(e, h.run); err != nil {
		return e, err
	}
	next := head{sequence: e.Sequence, workspace: e.Workspace}
	if strings.HasPrefix(string(e.Stream), runPrefix) {
		if next.run, err = fold(h.run, e); err != nil {
			return e, err
		}
		next.unsaved, next.added = true, h.added+int64(len(e.Data))
	}
	t.log.set(e.Stream, next)
	if t.d.numbers {
		t.log.position = e.Position
	}
	switch e.Type {
	case mgx.TaskCreated:
		err = t.createTask(e)
	case mgx.AuditRecorded:
		if err = t.grow(e); err == nil {
			err = t.heed(e)
		}
	}
	return e, err
}

// again returns the stored event of an id that was appended before, if that is
// the same event: an id that means two things would hide one of them.
func (t *tx) again(e mgx.Event) (mgx.Event, error) {
	stored, err := t.event(e.ID)
	if err != nil {
		return stored, err
	}
	if e.Type == mgx.AuditRecorded && stored.Type == e.Type { // what is set may have changed in between
		var d mgx.AuditData
		if err = stored.Decode(&d); err == nil {
			e, err = e.KeptFor(d.Kept)
		}
		if err != nil {
			return stored, err
		}
	}
	same := stored.Workspace == e.Workspace && stored.Stream == e.Stream && stored.Type == e.Type && stored.Version == e.Version
	if !same || string(stored.Data) != string(e.Data) && !stored.Erased() {
		return stored, mgx.Errorf(mgx.KindInternal, mgx.CodeConflict, "event %s is stored already with other content; a new event needs an id of its own", e.ID)
	}
	return stored, nil
}

// eventArgs are the values of eventFields.
func eventArgs(e mgx.Event) []any {
	return []any{
		string(e.ID), string(e.Workspace), string(e.Stream), e.Sequence, string(e.Type), e.Version, e.Time.UnixMicro(), string(e.Project), string(e.Task),
		string(e.Run), string(e.Agent), string(e.Execution), e.Correlation, string(e.Causation), e.Traceparent, string(e.Data),
	}
}

// storedArgs are the values of storedFields. The class of an audit entry is what the
// entry says, which its tree holds.
func (t *tx) storedArgs(e mgx.Event) []any {
	class := classOf(t.keep.now(), e, t.now)
	if e.Type == mgx.AuditRecorded {
		var d mgx.AuditData
		if _ = e.Decode(&d); d.Leaf >= 2 { // append has read it
			class = d.Kept
		}
	}
	return append(eventArgs(e), class)
}

func fold(before *mgx.Run, e mgx.Event) (*mgx.Run, error) {
	var run mgx.Run
	switch {
	case before != nil:
		run = *before
	case e.Type != mgx.RunCreated:
		return nil, mgx.Errorf(mgx.KindInternal, "run_not_created", "stream %s of a run begins with %s instead of %s", e.Stream, e.Type, mgx.RunCreated)
	}
	run, err := run.Apply(e)
	return &run, err
}

// end makes sure that the log's last position is known.
func (t *tx) end() error {
	if t.log.position >= 0 || !t.d.numbers {
		return nil
	}
	_, err := t.row(`SELECT COALESCE(MAX(position), 0) FROM events`, nil, &t.log.position)
	t.log.savedPosition = t.log.position
	return err
}

// head returns where a stream stands, from memory or from the file.
func (t *tx) head(id mgx.StreamID) (head, error) {
	if h, ok := t.log.heads[id]; ok {
		return h, nil
	}
	var h head
	_, err := t.row(t.d.head, []any{string(id)}, &h.sequence, &h.workspace)
	if err == nil && h.sequence > 0 && strings.HasPrefix(string(id), runPrefix) {
		h.run, err = t.run(mgx.RunID(id))
	}
	if err == nil {
		t.log.heads[id] = h
	}
	return h, err
}

func (t *tx) event(id mgx.EventID) (mgx.Event, error) {
	if e := t.log.known[id]; e != nil {
		return *e, nil
	}
	return scanEvent(t.conn.QueryRowContext(t.ctx, t.d.findEvent, string(id)))
}

func (t *tx) createTask(e mgx.Event) error {
	var d mgx.TaskCreatedData
	if err := e.Decode(&d); err != nil {
		return err
	}
	n, err := t.exec(`INSERT INTO tasks (id, workspace, data, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING`,
		string(d.Task.ID), string(e.Workspace), mustJSON(d.Task), e.Time.UnixMicro())
	if err != nil || n == 0 {
		return err
	}
	return t.indexTask(e.Workspace, d.Task)
}

// scanEvent reads into plain strings, which database/sql does without
// reflection: catching up on a log is mostly this.
func scanEvent(row scanner) (mgx.Event, error) {
	var position, sequence, at int64
	var id, workspace, stream, typ, version, project, task, run, agent, execution, correlation, causation, trace, data string
	err := row.Scan(&position, &id, &workspace, &stream, &sequence, &typ, &version, &at,
		&project, &task, &run, &agent, &execution, &correlation, &causation, &trace, &data)
	return mgx.Event{
		ID: mgx.EventID(id), Type: mgx.EventType(typ), Version: version, Time: time.UnixMicro(at).UTC(), Workspace: mgx.WorkspaceID(workspace),
		Project: mgx.ProjectID(project), Task: mgx.TaskID(task), Run: mgx.RunID(run), Agent: mgx.AgentID(agent), Execution: mgx.ExecutionID(execution),
		Correlation: correlation, Causation: mgx.EventID(causation), Traceparent: trace,
		Stream: mgx.StreamID(stream), Sequence: sequence, Position: position, Data: json.RawMessage(data),
	}, err
}

// EventQuery selects events. Every field that is set narrows the answer.
type EventQuery struct {
	Workspace     mgx.WorkspaceID
	Stream        mgx.StreamID
	Run           mgx.RunID
	AfterPosition int64
	AfterSequence int64    // of Stream
	Types         []string // any of these; * stands for any text: "task.*"
	Limit         int      // at most MaxEvents, which is also what 0 means
}

// Events returns matching events in position order. An answer holds at most
// MaxEvents events and 64 MB of data: whoever wants all of a longer list asks
// again after the last position until an answer is empty, or uses EachEvent.
func (s *Store) Events(ctx context.Context, q EventQuery) ([]mgx.Event, error) {
	if _, err := q.where(); err != nil {
		return nil, err
	}
	p, err := s.page(ctx, q)
	for tries := 1; err != nil && s.outdated(err) && tries < fewTries; tries++ {
		p, err = s.page(ctx, q)
	}
	return p.events, s.explain(err)
}

// page is an answer of Events as it grows.
type page struct {
	events []mgx.Event
	size   int // bytes of data
}

func (s *Store) page(ctx context.Context, q EventQuery) (p page, err error) {
	limit := bounded(q.Limit, MaxEvents)
	for part, err := range s.spans(ctx, q, limit) {
		if err != nil {
			return p, err
		}
		if err := s.read(ctx, q, part, limit-len(p.events), &p); err != nil {
			return p, err
		}
		if len(p.events) == limit || p.size >= maxPage {
			break
		}
	}
	return p, nil
}

// span is a part of the log: what to read from, and between which positions.
type span struct {
	from        string
	after, upTo int64 // 0: from the beginning, to the end
}

func (s *Store) read(ctx context.Context, q EventQuery, part span, limit int, p *page) error {
	q.AfterPosition = max(q.AfterPosition, part.after)
	w, err := q.where()
	if err != nil {
		return err
	}
	if part.upTo > 0 {
		w.is("position <=", part.upTo)
	}
	from := ` FROM ` + part.from + w.String() + ` ORDER BY position LIMIT ` + w.arg(limit)
	return s.events(ctx, from, w.args, func(e mgx.Event) bool {
		p.events = append(p.events, e)
		p.size += len(e.Data)
		return p.size < maxPage
	})
}

func (q EventQuery) where() (*where, error) {
	w := &where{}
	if q.Workspace != "" {
		w.is("workspace =", string(q.Workspace))
	}
	if q.Stream != "" {
		w.is("stream =", string(q.Stream))
	}
	if q.Run != "" {
		w.is("run =", string(q.Run))
	}
	if q.AfterPosition > 0 {
		w.is("position >", q.AfterPosition)
	}
	if q.AfterSequence > 0 {
		w.is("sequence >", q.AfterSequence)
	}
	return w, w.globs("type", q.Types)
}

// EachEvent yields every event that matches now, in position order, reading a
// page at a time; q.Limit is the size of a page. It stops after the first error.
func (s *Store) EachEvent(ctx context.Context, q EventQuery) iter.Seq2[mgx.Event, error] {
	if q.Limit <= 0 {
		q.Limit = 500
	}
	return func(yield func(mgx.Event, error) bool) {
		for {
			page, err := s.Events(ctx, q)
			if err != nil {
				yield(mgx.Event{}, err)
				return
			}
			if len(page) == 0 {
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
				q.AfterPosition = e.Position
			}
		}
	}
}

// EventsAfter is Events for readers that do not import this package: those of
// one workspace after a position, of one stream and one run if given.
func (s *Store) EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error) {
	return s.Events(ctx, EventQuery{Workspace: ws, Stream: stream, Run: run, Types: types, AfterPosition: position, Limit: limit})
}

// Head returns the position of the log's last event; 0: there is none.
func (s *Store) Head(ctx context.Context) (int64, error) {
	p, _, err := one(ctx, s, scanCount, s.dialect.lastPosition)
	return p, err
}
