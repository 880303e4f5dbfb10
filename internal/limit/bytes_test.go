package limit_test

import (
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/limit"
)

// Whatever is taken and dropped in whichever order: nobody holds more than their
// share, all do not hold more than there is, and nothing is refused that fits.
func TestBytes(t *testing.T) {
	t.Parallel()
	const most, each = 100, 40
	rapid.Check(t, func(t *rapid.T) {
		b := limit.NewBytes(most, each)
		owners := []string{"a", "b", "c", "d"}
		type body struct {
			owner string
			n     int64
			held  *limit.Held
		}
		var open []*body
		sum := func(owner string) (n int64) {
			for _, o := range open {
				if owner == "" || o.owner == owner {
					n += o.n
				}
			}
			return n
		}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if len(open) > 0 && rapid.Bool().Draw(t, "drop") {
				i := rapid.IntRange(0, len(open)-1).Draw(t, "which")
				open[i].held.Drop()
				open = append(open[:i], open[i+1:]...)
				continue
			}
			owner := rapid.SampledFrom(owners).Draw(t, "owner")
			one := &body{owner: owner, held: b.Hold(owner)}
			open = append(open, one)
			for range rapid.IntRange(1, 4).Draw(t, "pieces") {
				n := rapid.Int64Range(0, 30).Draw(t, "n")
				want := ""
				switch {
				case sum(owner)+n > each:
					want = limit.CodeTooManyBytes
				case sum("")+n > most:
					want = limit.CodeOverloaded
				}
				err := one.held.Take(n)
				if want == "" && err != nil || want != "" && !mgx.IsCode(err, want) {
					t.Fatalf("%s has %d of %d, and takes %d: %v, want %q", owner, sum(owner), sum(""), n, err, want)
				}
				if err == nil {
					one.n += n
				}
			}
		}
	})
}
