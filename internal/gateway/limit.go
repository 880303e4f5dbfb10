package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"mgx"
)

// maxKnown is how many keys' doings are remembered.
const maxKnown = 10_000

// limits bounds what each key may do at once and in a minute.
type limits struct {
	atOnce    int
	perMinute int
	now       func() time.Time

	mu    sync.Mutex
	byKey map[mgx.KeyID]*usage
}

// usage is one key's. Tokens fill up to perMinute within a minute, whole
// fractions being kept as time.
type usage struct {
	active int
	full   time.Time // when the bucket will be full again
}

// enter takes a place and a token for a call, and states in the headers what is
// left.
func (l *limits) enter(id mgx.KeyID, h http.Header) (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	u := l.usage(id, now)
	each := time.Minute / time.Duration(l.perMinute)
	left := min(int(time.Minute-max(0, u.full.Sub(now)))/int(each), l.perMinute)
	reset := time.Duration(0)
	defer func() { l.say(h, max(0, left), reset) }()
	switch {
	case u.active >= l.atOnce:
		return nil, &failure{
			kind: tooFast, code: "too_many_calls", wait: time.Second,
			message: fmt.Sprintf("this key has %d calls under way, the most it may; wait for one to end", l.atOnce),
		}
	case left < 1:
		reset = u.full.Sub(now) - time.Minute + each
		return nil, &failure{
			kind: tooFast, code: "rate_limit_exceeded", wait: reset,
			message: fmt.Sprintf("this key may make %d calls a minute; wait a moment", l.perMinute),
		}
	}
	left--
	u.active++
	u.full = later(u.full, now).Add(each)
	reset = u.full.Sub(now)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		u.active--
	}, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// usage finds a key's, forgetting those that are as good as new.
func (l *limits) usage(id mgx.KeyID, now time.Time) *usage {
	if u := l.byKey[id]; u != nil {
		return u
	}
	if len(l.byKey) >= maxKnown {
		for other, u := range l.byKey {
			if u.active == 0 && !u.full.After(now) {
				delete(l.byKey, other)
			}
		}
	}
	u := &usage{}
	l.byKey[id] = u
	return u
}

// say states the limit as the dialects' SDKs and the IETF draft name it.
func (l *limits) say(h http.Header, left int, reset time.Duration) {
	seconds := int64((reset + time.Second - 1) / time.Second)
	limit, rest, wait := strconv.Itoa(l.perMinute), strconv.Itoa(left), strconv.FormatInt(seconds, 10)
	h.Set("RateLimit-Policy", `"calls";q=`+limit+`;w=60`)
	h.Set("RateLimit", `"calls";r=`+rest+`;t=`+wait)
	h.Set("X-Ratelimit-Limit-Requests", limit)
	h.Set("X-Ratelimit-Remaining-Requests", rest)
	h.Set("X-Ratelimit-Reset-Requests", wait+"s")
}
