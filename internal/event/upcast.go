package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"mgx"
)

// Codes of the errors of reading a version.
const (
	CodeUnknownVersion = "unknown_event_version" // kind usage
	CodeVersionGone    = "event_version_gone"    // kind usage
)

// An earlier major version is served until notice and service are over.
const (
	noticeTime  = 30 * 24 * time.Hour // from the announcement until it counts as deprecated
	serviceTime = 90 * 24 * time.Hour // from then until it is no longer served
)

// step leads data of one major version of a type to the next and back. Up and
// Down are pure: they depend on nothing but the data, which is theirs to change
// and return. Numbers in it are json.Number.
type step struct {
	typ  mgx.EventType
	from int // the earlier major version

	up   func(data map[string]any) (map[string]any, error)
	down func(data map[string]any) (map[string]any, error)

	announced time.Time // when the end of the earlier version was made known
}

// steps lists every step between major versions, by type and version. No type
// has a second major version yet. docs/reference/consumer-migration.md says what
// consumers are promised when one gets it; TestWorkedExample goes through one.
func steps() []step { return nil }

// At returns the event as a reader of this version of its type expects it. The
// version may be 1.2.3, or 1 for the latest of that major version, or empty for
// the latest of all. Data that was written in another version of the same major
// is given out as it is: every version within a major reads every other. Between
// majors the steps change it, and its version says what it is now. Data that was
// erased says nothing in any version and is given out as it is.
//
// Errors, of kind usage: the type or the version is not known
// (unknown_event_type, unknown_event_version), or is no longer served
// (event_version_gone). Reads of versions that are not the latest are counted.
func (r *Registry) At(e mgx.Event, version string) (mgx.Event, error) {
	want, err := r.find(e.Type, version)
	if err != nil {
		return e, err
	}
	return r.at(e, want, "")
}

func (r *Registry) at(e mgx.Event, want *release, reader string) (mgx.Event, error) {
	v := want.version()
	if want != r.contracts[e.Type].current {
		r.usage.count(e.Type, v.String(), reader)
		if s := r.support(e.Type, v.major); !s.Sunset.IsZero() && !time.Now().Before(s.Sunset) {
			return e, gone(e.Type, v.major)
		}
	}
	written, ok := parseVersion(e.Version)
	if !ok {
		return e, mgx.Errorf(mgx.KindInternal, CodeBadEvent, "event %s (%s) says no version: %q", e.ID, e.Type, clip(e.Version))
	}
	return r.lead(e, written.major, v)
}

// lead takes the data from one major version to another, one at a time.
func (r *Registry) lead(e mgx.Event, from int, to version) (mgx.Event, error) {
	if from == to.major || e.Erased() {
		return e, nil
	}
	data, err := decodeObject(e.Data)
	if err != nil {
		return e, bad(&e, err)
	}
	for from != to.major {
		next := from + 1
		if from > to.major {
			next = from - 1
		}
		if data, err = r.take(e.Type, from, next, data); err != nil {
			return e, err
		}
		from = next
	}
	e.Version = to.String()
	e.Data, err = encodeObject(data)
	return e, err
}

func (r *Registry) take(typ mgx.EventType, from, to int, data map[string]any) (map[string]any, error) {
	s := r.step(typ, min(from, to))
	if s == nil || from > to && s.down == nil {
		return nil, gone(typ, to)
	}
	change := s.up
	if from > to {
		change = s.down
	}
	data, err := change(data)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, CodeBadEvent, "an event of type %s cannot be read as version %d: %w", typ, to, err)
	}
	return data, nil
}

func (r *Registry) step(typ mgx.EventType, from int) *step {
	for i := range r.steps {
		if s := &r.steps[i]; s.typ == typ && s.from == from {
			return s
		}
	}
	return nil
}

func gone(typ mgx.EventType, major int) error {
	return mgx.Errorf(mgx.KindUsage, CodeVersionGone, "version %d of %s is no longer served; read the latest version, see docs/reference/consumer-migration.md", major, typ)
}

// Support says how long a version of a type is served. Zero times: as long as
// nothing else is announced.
type Support struct {
	Deprecated time.Time // for the Deprecation header of RFC 9745
	Sunset     time.Time // for the Sunset header of RFC 8594: no longer served from here on
}

// Support tells how long a version is served, named as for At. An earlier major
// version ends with the first announcement of a step that leads away from it.
func (r *Registry) Support(typ mgx.EventType, version string) Support {
	one, err := r.find(typ, version)
	if err != nil {
		return Support{}
	}
	return r.support(typ, one.version().major)
}

func (r *Registry) support(typ mgx.EventType, major int) Support {
	s := r.step(typ, major)
	if s == nil || s.announced.IsZero() {
		return Support{}
	}
	deprecated := s.announced.Add(noticeTime)
	return Support{Deprecated: deprecated, Sunset: deprecated.Add(serviceTime)}
}

// decodeObject keeps numbers as they are written: an integer of 64 bits does not
// survive a float.
func decodeObject(data []byte) (map[string]any, error) {
	var object map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&object); err != nil || object == nil {
		return nil, fmt.Errorf("the data is not a JSON object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("the data is more than one JSON value")
	}
	return object, nil
}

func encodeObject(object map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
