package mgx

import (
	"context"
	"slices"
)

// Terms are what somebody who asks for an act asks along with it: that it is done
// only if the thing is as they saw it, and that it is done once however often they
// ask. Whoever stores the act holds to them in the transaction of its audit entry,
// so that neither is true by luck. An act that has no entry has no terms.
type Terms struct {
	// Kind and ID name the thing, as acts do: budget of budget.update; empty: any.
	// Acts on other things that are part of it are not asked. The thing must have one
	// of these revisions; nil: whatever it has.
	Kind, ID string
	Match    []int64

	Once *Once // nil: as often as it is asked for

	held bool // the first act has been done, and the others are part of it
}

// Once names a request that is done once.
type Once struct {
	Workspace WorkspaceID
	Actor     string // who asks
	Route     string // for what
	Key       string // digest of the Idempotency-Key
	Digest    string // of everything that was sent
}

// KeptAnswer is what came of a request that is done once.
type KeptAnswer struct {
	Digest string // of the request
	Made   string // id of what the act was on
	Status int    // 0: the answer was not kept
	Body   []byte
}

// Codes of errors about terms.
const (
	CodeChanged  = "precondition_failed"    // the thing is not as they saw it
	CodeKeyInUse = "idempotency_key_in_use" // the act was done meanwhile, for the same key
)

type termsKey struct{}

// OnTerms returns a context whose first act on the thing is done on these terms. They are of one
// request.
func OnTerms(ctx context.Context, t *Terms) context.Context {
	return context.WithValue(ctx, termsKey{}, t)
}

// TermsOf are those of a context that were not held to yet; nil: there are none.
func TermsOf(ctx context.Context) *Terms {
	t, _ := ctx.Value(termsKey{}).(*Terms)
	if t == nil || t.held {
		return nil
	}
	return t
}

// Held says that an act on these terms was done.
func (t *Terms) Held() { t.held = true }

// WasHeld reports it.
func (t *Terms) WasHeld() bool { return t.held }

// Are reports whether the terms are about an act on a thing.
func (t *Terms) Are(kind, id string) bool {
	return (t.Kind == "" || t.Kind == kind) && (t.ID == "" || t.ID == id)
}

// Allow refuses an act on a thing that had another revision than it must have.
func (t *Terms) Allow(had int64) error {
	if t.Match == nil || slices.Contains(t.Match, had) {
		return nil
	}
	return Errorf(KindUsage, CodeChanged, "somebody changed it since you read it; read it again, and send its ETag with your change")
}
