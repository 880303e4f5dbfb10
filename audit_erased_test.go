package mgx_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// What is written is read again, and has the numbers it was made of and no others.
func TestAuditErasures(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := func(name string) (mgx.Spans, []int64) {
			all := rapid.SliceOfNDistinct(rapid.Int64Range(1, 60), 1, 40, rapid.ID).Draw(t, name)
			slices.Sort(all)
			var s mgx.Spans
			for _, n := range all {
				s = s.With(n)
			}
			return s, all
		}
		a, in := list("a")
		b, also := list("b")
		if got := slices.Collect(a.All()); !slices.Equal(got, in) {
			t.Fatalf("%s has %v, want %v", a, got, in)
		}
		e := mgx.AuditErasure{Workspace: "ws", Subject: "user_1", Entries: a, Time: time.Unix(1_800_000_000, 0).UTC()}
		read, err := mgx.ReadAuditErasure(e.Text())
		if err != nil || read.Text() != e.Text() || !read.Time.Equal(e.Time) {
			t.Fatalf("%+v is read as %+v, %v", e, read, err)
		}
		both := a.And(b)
		for n := range int64(62) {
			if a.Has(n) != slices.Contains(in, n) || both.Has(n) != (slices.Contains(in, n) || slices.Contains(also, n)) {
				t.Fatalf("%s, and %s: %d", a, both, n)
			}
		}
	})
	for _, text := range []string{
		"", "mgx/audit/erased/ws\nu\n\n2026-11-28T10:00:00Z\n", "mgx/audit/erased/ws\nu\n3-1\n2026-11-28T10:00:00Z\n", "mgx/audit/erased/ws\nu\n0\n2026-11-28T10:00:00Z\n",
		"mgx/audit/erased/ws\nu\n4,4\n2026-11-28T10:00:00Z\n", "mgx/audit/ws\nu\n4\n2026-11-28T10:00:00Z\n", "mgx/audit/erased/ws\nu\n4\nyesterday\n",
	} {
		if e, err := mgx.ReadAuditErasure(text); err == nil {
			t.Errorf("%q is read as %+v", text, e)
		}
	}
}
