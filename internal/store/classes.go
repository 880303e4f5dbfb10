package store

import (
	"sync/atomic"
	"time"

	"mgx"
)

// The class of an event says for how many days it is kept. It is set when the
// event is appended, by what Options.Keep says of its type then. PostgreSQL splits
// the log by class and month, so that what is over goes a whole month at a time.
// Both databases keep by the same rule: an event goes when the month in which it
// happened (in UTC) has ended, and since then the longer of two times has passed:
// that of its class, and that which its type asks for now. So a type may change
// its class, and no event goes before its time.
const (
	classByType  int64 = -1 // its type alone decides
	classForEver int64 = 0
)

const day = 24 * time.Hour

// classDays is the class of a retention: days, begun ones whole.
func classDays(keep time.Duration) int64 { return max(1, int64((keep+day-1)/day)) }

// keeping is Options.Keep, which may change while the store is open.
type keeping struct {
	p atomic.Pointer[map[mgx.EventType]time.Duration]
}

func (k *keeping) set(keep map[mgx.EventType]time.Duration) { k.p.Store(&keep) }

func (k *keeping) now() map[mgx.EventType]time.Duration {
	if k == nil {
		return nil
	}
	return *k.p.Load()
}

// SetKeep replaces Options.Keep for events that are appended from now on. The map
// may not be changed afterwards.
func (s *Store) SetKeep(keep map[mgx.EventType]time.Duration) { s.opts.kept.set(keep) }

// Events that come with a time far from now would each want a month of their own.
const (
	farAhead = 62 * day
	farBack  = 3660 * day
)

// classOf returns the class of an event that is appended now.
func classOf(keep map[mgx.EventType]time.Duration, e mgx.Event, now time.Time) int64 {
	if keep == nil || e.Time.After(now.Add(farAhead)) || e.Time.Before(now.Add(-farBack)) {
		return classByType
	}
	kept, known := keep[e.Type]
	switch {
	case !known:
		return classForEver
	case over(monthOf(e.Time), classDays(kept), now):
		return classByType
	}
	return classDays(kept)
}

// month is a calendar month in UTC: 202611.
type month int64

func monthOf(t time.Time) month {
	y, m, _ := t.UTC().Date()
	return month(y*100 + int(m))
}

func (m month) begins() time.Time {
	return time.Date(int(m/100), time.Month(m%100), 1, 0, 0, 0, 0, time.UTC)
}

func (m month) ends() time.Time { return m.begins().AddDate(0, 1, 0) }

// over reports whether days have passed since a month ended.
func over(m month, days int64, now time.Time) bool {
	return !now.Before(m.ends().Add(time.Duration(days) * day))
}

// policy is what a Retain goes by.
type policy struct {
	now  time.Time
	keep map[mgx.EventType]time.Duration
	open map[string]bool // runs that have not ended, and their tasks
}

// lets reports whether an event of a month may go, going by class and type.
func (p policy) lets(class int64, typ mgx.EventType, m month) bool {
	kept, known := p.keep[typ]
	return known && class != classForEver && over(m, max(class, classDays(kept)), p.now)
}
