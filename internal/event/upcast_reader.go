package event

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mgx"
)

// maxPins bounds what one reader may ask for.
const maxPins = 100

// Reader reads events for one consumer, each in the version the consumer asked
// for. It is safe for use by many goroutines.
type Reader struct {
	registry *Registry
	who      string
	pins     map[mgx.EventType]*release
}

// Reader returns the reader of a consumer. Who names it in Usage by an id: a
// subscription, a token, a webhook. Pins says which versions it reads, such as
// "tool.result@1,task.created@1.0.0"; types it does not name are read in their
// latest version. Errors are those of [Registry.At], and bad_event_pins.
func (r *Registry) Reader(who, pins string) (*Reader, error) {
	out := &Reader{registry: r, who: who, pins: map[mgx.EventType]*release{}}
	if pins == "" {
		return out, nil
	}
	for pin := range strings.SplitSeq(pins, ",") {
		typ, version, ok := strings.Cut(strings.TrimSpace(pin), "@")
		if !ok || version == "" || len(out.pins) == maxPins {
			return nil, mgx.Errorf(mgx.KindUsage, "bad_event_pins", "%q is not a version to read: write type@version, such as tool.result@1, at most %d of them with commas between", clip(pin), maxPins)
		}
		one, err := r.find(mgx.EventType(typ), version)
		if err != nil {
			return nil, err
		}
		out.pins[one.typ] = one
	}
	return out, nil
}

// Read returns the event in the version that the consumer reads.
func (r *Reader) Read(e mgx.Event) (mgx.Event, error) {
	want, pinned := r.pins[e.Type]
	if !pinned {
		return r.registry.At(e, "")
	}
	return r.registry.at(e, want, r.who)
}

// Support is the earliest end of what the consumer asked for.
func (r *Reader) Support() Support {
	var first Support
	for typ, one := range r.pins {
		s := r.registry.support(typ, one.version().major)
		if !s.Sunset.IsZero() && (first.Sunset.IsZero() || s.Sunset.Before(first.Sunset)) {
			first = s
		}
	}
	return first
}

// OldRead counts how often somebody read a version that is not the latest.
type OldRead struct {
	Type    mgx.EventType `json:"type"`
	Version string        `json:"version"`
	Reader  string        `json:"reader"` // empty: not named; "others": beyond the first 1,000
	Count   int64         `json:"count"`
	Last    time.Time     `json:"last"`
}

// Usage lists the reads of old versions since the program started, by type,
// version and reader.
func (r *Registry) Usage() []OldRead { return r.usage.list() }

// maxUsage bounds what is remembered about who reads old versions.
const (
	maxUsage    = 1000
	otherReader = "others"
)

type usageKey struct {
	typ             mgx.EventType
	version, reader string
}

type usage struct {
	mu   sync.Mutex
	seen map[usageKey]OldRead
}

func (u *usage) count(typ mgx.EventType, version, reader string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.seen == nil {
		u.seen = map[usageKey]OldRead{}
	}
	key := usageKey{typ, version, reader}
	if _, known := u.seen[key]; !known && len(u.seen) >= maxUsage {
		key.reader = otherReader // one for each version of each type, which are few
	}
	u.seen[key] = OldRead{typ, version, key.reader, u.seen[key].Count + 1, mgx.Now()}
}

func (u *usage) list() []OldRead {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.SortedFunc(maps.Values(u.seen), func(a, b OldRead) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Reader, b.Reader))
	})
}
