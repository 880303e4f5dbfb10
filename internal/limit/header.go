package limit

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers states in the headers of an answer which limits there are and how they
// stand, as draft-ietf-httpapi-ratelimit-headers-10 has it: RateLimit-Policy lists
// all of them, RateLimit is of the one that has the least left. Of a refusal
// Retry-After says when to ask again.
func (v Verdict) Headers(h http.Header) {
	if len(v.States) == 0 {
		return
	}
	var policies []string
	for _, s := range v.States {
		policies = append(policies, fmt.Sprintf(`"%s";q=%d;w=%d`, s.Policy, s.Quota, seconds(s.Window)))
	}
	h.Set("RateLimit-Policy", strings.Join(policies, ", "))
	least := tightest(v.States)
	for _, s := range v.States {
		if s.Policy == v.Policy {
			least = s
		}
	}
	h.Set("RateLimit", fmt.Sprintf(`"%s";r=%d;t=%d`, least.Policy, least.Left, seconds(least.Full)))
	if !v.OK {
		h.Set("Retry-After", strconv.FormatInt(max(1, seconds(v.Wait)), 10))
	}
}

// tightest is the state with the smallest part left.
func tightest(all []State) State {
	least := all[0]
	for _, s := range all[1:] {
		if s.Left*least.Quota < least.Left*s.Quota {
			least = s
		}
	}
	return least
}

// seconds rounds up.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }
