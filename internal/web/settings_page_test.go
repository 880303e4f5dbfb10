package web

import (
	"slices"
	"testing"
)

// TestPageOf goes through a list as its reader does, and misses and repeats nothing.
func TestPageOf(t *testing.T) {
	t.Parallel()
	all := []string{"a", "b", "c", "d"}
	from := func(after string) []string {
		at := slices.Index(all, after) + 1
		return all[at:min(at+3, len(all))]
	}
	id := func(s string) string { return s }
	first, turned := pageOf("/x", "", from(""), 2, id)
	if !slices.Equal(first, all[:2]) || turned != (turning{Next: "/x?after=b"}) {
		t.Errorf("it begins with %q, %+v", first, turned)
	}
	rest, turned := pageOf("/x", "b", from("b"), 2, id)
	if !slices.Equal(rest, all[2:]) || turned != (turning{First: "/x"}) {
		t.Errorf("it goes on with %q, %+v", rest, turned)
	}
}
