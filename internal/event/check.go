package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"mgx"
	"mgx/internal/lazy"
)

// Codes of the errors of Check, all of kind internal: the program built an
// event it may not write.
const (
	CodeUnknownType = "unknown_event_type"
	CodeBadEvent    = "bad_event"
	CodeTooLarge    = "event_too_large"
)

const (
	maxID          = 128 // characters of an id, a correlation or a stream
	maxMessage     = 400 // characters of what a validation error says
	envelopeMargin = 4096
)

var (
	eventID     = lazy.Regexp(`^evt_[0-9A-HJKMNP-TV-Z]{26}$`)
	plainID     = lazy.Regexp(`^[0-9A-Za-z][0-9A-Za-z_.:-]*$`)
	traceparent = lazy.Regexp(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`) // https://www.w3.org/TR/trace-context/#traceparent-header
)

// Check holds an event against its contract and fills Version when it is
// empty. It does not look at Sequence and Position, which the store gives out.
// Its errors name the place in the data and the rule, not the whole value.
func (r *Registry) Check(e *mgx.Event) error {
	c, known := r.contracts[e.Type]
	if !known {
		return unknownType(e.Type)
	}
	if err := checkEnvelope(*e); err != nil {
		return bad(e, err)
	}
	if err := checkSize(*e); err != nil {
		return err
	}
	if err := c.current.checkVersion(e); err != nil {
		return err
	}
	return c.current.checkData(e)
}

func unknownType(typ mgx.EventType) error {
	return mgx.Errorf(mgx.KindInternal, CodeUnknownType, "there is no contract for events of type %q; the types are in docs/reference/events.md", clip(string(typ)))
}

func (c *release) checkVersion(e *mgx.Event) error {
	t, err := c.read()
	if err != nil {
		return bad(e, err)
	}
	if e.Version == "" {
		e.Version = t.Version
	}
	if e.Version != t.Version {
		return bad(e, fmt.Errorf("version %q is not %s, the one that is written", clip(e.Version), t.Version))
	}
	return nil
}

func (c *release) checkData(e *mgx.Event) error {
	if err := checkText(e.Data); err != nil {
		return bad(e, err)
	}
	schema, err := c.schema()
	if err != nil {
		return bad(e, err)
	}
	data, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
	if err != nil {
		return bad(e, errors.New("the data is not JSON"))
	}
	if err := schema.Validate(data); err != nil {
		return bad(e, sentence(err))
	}
	return nil
}

func checkEnvelope(e mgx.Event) error {
	if !eventID().MatchString(string(e.ID)) {
		return fmt.Errorf("the event id %q is not evt_ and a ULID", clip(string(e.ID)))
	}
	if e.Time.IsZero() || e.Time.Location() != time.UTC || e.Time.Nanosecond()%1000 != 0 {
		return errors.New("the timestamp is not a time in UTC with whole microseconds")
	}
	if e.Time.Year() < 1970 || e.Time.Year() > 9999 {
		return errors.New("the timestamp is not between the years 1970 and 9999")
	}
	if e.Workspace == "" || e.Stream == "" {
		return errors.New("the workspace or the stream is missing")
	}
	if e.Run != "" && strings.HasPrefix(string(e.Stream), "run_") && string(e.Stream) != string(e.Run) {
		return errors.New("it is on the stream of another run")
	}
	for _, id := range ids(e) {
		if err := id.check(); err != nil {
			return err
		}
	}
	if e.Traceparent != "" && !traceparent().MatchString(e.Traceparent) {
		return errors.New("traceparent is not of the W3C form")
	}
	return nil
}

// idField is an identifier of the envelope and the prefix it must have.
type idField struct{ name, value, prefix string }

func ids(e mgx.Event) []idField {
	return []idField{
		{"workspace_id", string(e.Workspace), "ws_"},
		{"project_id", string(e.Project), "proj_"},
		{"task_id", string(e.Task), "task_"},
		{"run_id", string(e.Run), "run_"},
		{"agent_id", string(e.Agent), "agent_"},
		{"workflow_execution_id", string(e.Execution), "exec_"},
		{"causation_id", string(e.Causation), "evt_"},
		{"correlation_id", e.Correlation, ""},
		{"stream", string(e.Stream), ""},
	}
}

func (f idField) check() error {
	if f.value == "" {
		return nil
	}
	if len(f.value) > maxID || len(f.value) == len(f.prefix) || !strings.HasPrefix(f.value, f.prefix) || !plainID().MatchString(f.value) {
		return fmt.Errorf("%s %q is not an id that begins with %q", f.name, clip(f.value), f.prefix)
	}
	return nil
}

// checkSize measures the JSON form, exactly only where it could matter: written
// as JSON, a byte of data takes six at most.
func checkSize(e mgx.Event) error {
	if len(e.Data) <= (mgx.MaxEventSize-envelopeMargin)/6 {
		return nil
	}
	if len(e.Data) <= mgx.MaxEventSize {
		whole, err := json.Marshal(e)
		if err != nil {
			return bad(&e, errors.New("the data is not JSON"))
		}
		if len(whole)+numbers <= mgx.MaxEventSize {
			return nil
		}
	}
	return mgx.Errorf(mgx.KindInternal, CodeTooLarge, "event %s (%s) is larger than %d bytes; put the payload into an artifact", e.ID, e.Type, mgx.MaxEventSize)
}

// numbers is how much an envelope may still grow when the store fills in its
// sequence, position and version.
const numbers = 64

func bad(e *mgx.Event, err error) error {
	return mgx.Errorf(mgx.KindInternal, CodeBadEvent, "event %s (%s) breaks its contract: %w", clip(string(e.ID)), e.Type, err)
}

// sentence says in one line which rule was broken first, and where.
func sentence(err error) error {
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err
	}
	for len(v.Causes) > 0 {
		v = v.Causes[0]
	}
	rule := v.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	return fmt.Errorf("at /%s: %s", strings.Join(v.InstanceLocation, "/"), clip(rule))
}

func clip(s string) string {
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "") + "…"
}
