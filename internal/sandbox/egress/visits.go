package egress

import (
	"strconv"
	"sync"
	"sync/atomic"

	"mgx/internal/sandbox"
)

// visits counts what a command asked for, however often it does.
type visits struct {
	mu   sync.Mutex
	all  []*visit
	find map[sandbox.Visit]*visit
	told map[bool]int // apart, of those that were allowed and of the others: nobody hides where it went behind what was refused
}

// visit counts one of its kind.
type visit struct {
	kind           sandbox.Visit // without counts
	times          int
	sent, received atomic.Int64
}

// add counts one more. What is beyond those that are told apart is counted
// together, so that a loop over names stays small.
func (v *visits) add(kind sandbox.Visit) *visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	one := v.find[kind]
	if one == nil && v.told[kind.Allowed] >= maxVisits {
		kind = sandbox.Visit{Allowed: kind.Allowed, Reason: Others}
		one = v.find[kind]
	}
	if one == nil {
		if v.find == nil {
			v.find, v.told = map[sandbox.Visit]*visit{}, map[bool]int{}
		}
		one = &visit{kind: kind}
		v.find[kind] = one
		v.told[kind.Allowed]++
		v.all = append(v.all, one)
	}
	one.times++
	return one
}

// list is what was counted until now.
func (v *visits) list() []sandbox.Visit {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []sandbox.Visit
	for _, one := range v.all {
		kind := one.kind
		kind.Times, kind.Sent, kind.Received = one.times, one.sent.Load(), one.received.Load()
		out = append(out, kind)
	}
	return out
}

// asked shows what is no host, so that it does no harm where it is shown.
func asked(text string) string {
	if text == "" {
		return ""
	}
	const most = 60
	return strconv.QuoteToASCII(text[:min(len(text), most)])
}
