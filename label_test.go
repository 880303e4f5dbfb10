package mgx_test

import (
	"reflect"
	"slices"
	"testing"

	"mgx"

	"pgregory.net/rapid"
)

func anyLabel(t *rapid.T, name string) mgx.Label {
	l := mgx.Label{
		Untrusted: rapid.Bool().Draw(t, name+" untrusted"),
		Secrecy:   rapid.SampledFrom([]mgx.Confidentiality{mgx.Public, mgx.Private, mgx.Secret}).Draw(t, name+" secrecy"),
		Sources:   rapid.SliceOfN(rapid.StringMatching(`(web|mcp):[a-z]{1,3}|user|repository`), 0, 40).Draw(t, name+" sources"),
	}
	return l.Join(mgx.Label{}) // as every label is made
}

// Join is a least upper bound: the order of the texts, doing it twice and adding
// nothing do not matter, and nothing is lost on the way.
func TestLabelJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := anyLabel(t, "a"), anyLabel(t, "b"), anyLabel(t, "c")
		same := func(law string, x, y mgx.Label) {
			if !reflect.DeepEqual(x, y) {
				t.Fatalf("%s: %+v, %+v", law, x, y)
			}
		}
		same("either order", a.Join(b), b.Join(a))
		same("twice", a.Join(a), a)
		same("nothing added", a.Join(mgx.Label{}), a)
		one, other := a.Join(b).Join(c), a.Join(b.Join(c))
		if one.Untrusted != other.Untrusted || one.Secrecy != other.Secrecy {
			t.Fatalf("grouping: %+v, %+v", one, other)
		}
		j := a.Join(b)
		if (a.Untrusted || b.Untrusted) != j.Untrusted {
			t.Fatalf("trust came from nowhere: %+v", j)
		}
		if len(j.Sources) <= 32 && !slices.IsSorted(j.Sources) || len(j.Sources) > 64 {
			t.Fatalf("sources: %q", j.Sources)
		}
	})
}

func TestLabelJoinIsStricter(t *testing.T) {
	t.Parallel()
	repo := mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{mgx.SourceRepository}}
	key := mgx.Label{Secrecy: mgx.Secret, Sources: []string{mgx.SourceUser}}
	got := repo.Join(key)
	want := mgx.Label{Untrusted: true, Secrecy: mgx.Secret, Sources: []string{mgx.SourceRepository, mgx.SourceUser}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if unknown := (mgx.Label{Secrecy: "new"}).Join(key); unknown.Secrecy != "new" {
		t.Errorf("a confidentiality that is not known gave way to %q", unknown.Secrecy)
	}
}
