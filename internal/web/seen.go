package web

import (
	"context"
	"fmt"
	"strconv"

	"mgx"
)

// Terms tell how often things were acted on; *store.Store documents and does. A form
// that changes something holds what that was when its page was drawn, and the change
// is made only to that.
type Terms interface {
	Revisions(ctx context.Context, ws mgx.WorkspaceID, kind string, ids []string) (map[string]int64, error)
}

// revisions are those of things of the reader's workspace, by id. They are to be read
// before the things: of a change in between the reader then hears too early, not too
// late.
func (v *visit) revisions(kind string, ids ...string) (map[string]int64, error) {
	if v.site.o.Terms == nil {
		return nil, nil
	}
	return v.site.o.Terms.Revisions(v.Context(), v.Actor.Workspace, kind, ids)
}

// watched lists things with their revisions. Which they are is known when they were
// listed, so they are listed once more.
func watched[T any](v *visit, kind string, list func() ([]T, error), id func(T) string) ([]T, map[string]int64, error) {
	all, err := list()
	if err != nil {
		return nil, nil, err
	}
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = id(one)
	}
	seen, err := v.revisions(kind, ids...)
	if err != nil {
		return nil, nil, err
	}
	all, err = list()
	return all, seen, err
}

// upon is the context of a change of what the reader had before them when they filled
// in the form.
func (v *visit) upon(kind, id string) context.Context { return v.uponThat(kind, id, v.text("seen")) }

func (v *visit) uponThat(kind, id, seen string) context.Context {
	if seen == "" || v.site.o.Terms == nil {
		return v.Context()
	}
	n, err := strconv.ParseInt(seen, 10, 64)
	if err != nil {
		n = -1 // no page of ours says so
	}
	return mgx.OnTerms(v.Context(), &mgx.Terms{Kind: kind, ID: id, Match: []int64{n}})
}

// Seen is what a form is told that its reader has seen. What they filled in before,
// they filled in on what they saw then; unless they were told that it has changed,
// and see what it is now.
func (f *form) Seen(name string, now any) string {
	if f.Open(name) && !f.Moved {
		return f.Values.Get("seen")
	}
	return fmt.Sprint(now)
}

// Now is what somebody else has put where something else was filled in.
func (f *form) Now(name, field, now string) string {
	if !f.Open(name) || !f.Moved || f.Values.Get(field) == now {
		return ""
	}
	return now
}
