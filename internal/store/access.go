package store

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"mgx"
)

// Everything that changes who may do what is an act: what it does and its entry
// in the audit log become true together, or neither does. act is the one way.

// act is what the audit log is told of an act while it is being done.
type act struct {
	resource      string // id of what it is done to
	before, after any    // as they may be shown; nil: there is nothing
	denied        string // why it was not done, where that is to be remembered
	erased        string // which entries of the log lost their details by it, signed
}

// act does something and records that it was done, in one transaction. Nothing is
// recorded of an act that fails, unless f itself says that it was denied, nor of one
// that f names no resource for: then there was nothing to do.
func (s *Store) act(ctx context.Context, by mgx.Doer, action string, f func(*tx, *act) error) error {
	return s.write(ctx, func(t *tx) error {
		t.normalEvent = s.normalEvent
		var a act
		if err := f(t, &a); err != nil {
			return err
		}
		if a.resource == "" {
			return t.unheeded(by.Workspace)
		}
		return t.audit(by, action, a)
	})
}

// audit appends the entry of an act.
func (t *tx) audit(by mgx.Doer, action string, a act) error {
	d := mgx.AuditData{
		Actor: by.Actor, Action: action, Resource: a.resource, Decision: mgx.AuditAllowed, Reason: a.denied, Request: by.Request, Erased: a.erased,
		Details: &mgx.AuditDetails{From: by.From, Agent: by.Agent, Before: shown(a.before), After: shown(a.after)},
	}
	if a.denied != "" {
		d.Decision = mgx.AuditDenied
	}
	e := mgx.NewAudit(by.Workspace, d)
	e.Time = t.now
	return t.tell(e)
}

// tell appends an event of its own making to the log.
func (t *tx) tell(e mgx.Event) error {
	e, err := t.normalEvent(e)
	if err == nil {
		err = t.d.lockStream(t, e.Stream)
	}
	if err == nil {
		e, err = t.append(e)
	}
	if err == nil {
		t.events = append(t.events, e)
	}
	return err
}

func shown(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	return json.RawMessage(mustJSON(v))
}

// RecordDenied remembers that somebody was not allowed to do something; in an erased
// workspace, in the log of the installation. Of a longer resource its beginning is kept.
func (s *Store) RecordDenied(ctx context.Context, by mgx.Doer, action, resource, why string) error {
	ctx = mgx.ForInstallation(ctx)
	if len(resource) > maxResource {
		resource = strings.ToValidUTF8(resource[:maxResource], "") + "…"
	}
	record := func() error {
		return s.act(ctx, by, action, func(_ *tx, a *act) error {
			a.resource, a.denied = resource, why
			return nil
		})
	}
	err := record()
	if mgx.IsCode(err, mgx.CodeErased) {
		by.Workspace = mgx.DefaultWorkspace
		err = record()
	}
	return err
}

// maxResource is how many bytes of what was asked for the entry of a denial keeps.
const maxResource = 200

func fromTime(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
