package app

import (
	"context"
	"encoding/json"
	"strconv"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/event"
)

// LogStore is the event log as people search it; *store.Store documents and is one.
type LogStore interface {
	NewestEvents(ctx context.Context, q mgx.EventSearch) (found []mgx.Event, next int64, err error)
	EventOf(ctx context.Context, ws mgx.WorkspaceID, id mgx.EventID) (mgx.Event, error)
	StreamAfter(ctx context.Context, stream mgx.StreamID, sequence int64, limit int) ([]mgx.Event, error)
}

// Log is the event log of workspaces for those who may read events. Entries of the
// audit log are in it for who may read that, and for nobody else.
type Log struct {
	Access    *Access
	Store     LogStore
	Contracts *event.Registry
}

// Search returns a page of matching events of the actor's workspace, the newest
// first. It looks at a bounded part of the log: a page may hold few events, or none,
// and still have a next one.
func (l *Log) Search(ctx context.Context, actor access.Actor, q mgx.EventSearch, token string) (Page[mgx.Event], error) {
	var none Page[mgx.Event]
	if err := l.may(ctx, actor); err != nil {
		return none, err
	}
	if err := checkSearch(q); err != nil {
		return none, err
	}
	after, err := readToken(token, 1)
	if err == nil && token != "" {
		if q.Before, err = strconv.ParseInt(after[0], 10, 64); err != nil || q.Before < 1 {
			err = badToken()
		}
	}
	if err != nil {
		return none, err
	}
	q.Workspace, q.Limit, q.NoAudit = actor.Workspace, pageSize(q.Limit), !l.Access.SeesAudit(ctx, actor)
	found, next, err := l.Store.NewestEvents(ctx, q)
	p := Page[mgx.Event]{Items: found}
	if next > 0 {
		p.Next = tokenOf(strconv.FormatInt(next, 10))
	}
	return p, err
}

func (l *Log) may(ctx context.Context, actor access.Actor) error {
	return l.Access.Authorize(ctx, actor, "read", access.Resource{Kind: "events"})
}

// checkSearch refuses what is no search.
func checkSearch(q mgx.EventSearch) error {
	if err := checkWords(q.Text, append(q.Types, q.Of, string(q.User))...); err != nil {
		return err
	}
	for _, s := range append(q.Types, q.Of, string(q.User)) {
		if len(s) > maxWords {
			return mgx.Errorf(mgx.KindUsage, "bad_query", "a type or an id has at most %d bytes", maxWords)
		}
	}
	if !q.Since.IsZero() && !q.Until.IsZero() && !q.Since.Before(q.Until) {
		return mgx.Errorf(mgx.KindUsage, "bad_query", "the time from which on events are looked for is before the one up to which they are")
	}
	return nil
}

// EventDetail is an event with its contract.
type EventDetail struct {
	mgx.Event
	Contract event.Type      // of its type, as it is written now; zero: not known any more
	Schema   json.RawMessage // of its version; nil: not known any more
	Before   mgx.EventID     // the one before it in its stream; empty: there is none
	After    mgx.EventID
}

// Event returns an event of the actor's workspace.
func (l *Log) Event(ctx context.Context, actor access.Actor, id mgx.EventID) (EventDetail, error) {
	var d EventDetail
	if err := l.may(ctx, actor); err != nil {
		return d, err
	}
	if !mgx.IsText(string(id)) {
		return d, noSuch("event", string(id))
	}
	e, err := l.Store.EventOf(ctx, actor.Workspace, id)
	if err == nil && e.Stream.IsAudit() && !l.Access.SeesAudit(ctx, actor) {
		err = noSuch("event", string(id))
	}
	if err != nil {
		return d, err
	}
	d.Event = e
	d.Contract, _ = l.Contracts.Type(e.Type)
	d.Schema, _ = l.Contracts.Schema(e.Type, e.Version)
	near, err := l.Store.StreamAfter(ctx, e.Stream, max(0, e.Sequence-2), 3)
	for _, other := range near {
		switch other.Sequence {
		case e.Sequence - 1:
			d.Before = other.ID
		case e.Sequence + 1:
			d.After = other.ID
		}
	}
	return d, err
}

// Types lists the names of all types of events.
func (l *Log) Types() []string {
	all := l.Contracts.Types()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = string(t.Type)
	}
	return names
}

// ChannelOf is the channel of the events of a run, a task, a project or an
// execution, for those who follow them; of anything else that of all.
func ChannelOf(id string) string {
	kind := mgx.EventSearch{Of: id}.Column()
	if kind == "execution" {
		kind = "workflow"
	}
	c, err := event.ParseChannel(kind + ":" + id)
	if err != nil || c.ID == "*" {
		return "all"
	}
	return c.String()
}
