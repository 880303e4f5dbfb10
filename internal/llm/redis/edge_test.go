package redis

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx/internal/llm/redis/redistest"
)

// What several processes take from the same buckets is together no more than was in
// them and what fills meanwhile, and no less than was in them; a bucket that has enough
// loses nothing when another has not.
func TestEdgeIsShared(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	began := time.Now()
	const size, perMinute = 40, 1
	var passed, refused atomic.Int64
	var all sync.WaitGroup
	for range 2 {
		s := open(t, Options{URL: real.URL() + patient}).Edge()
		for range 4 {
			all.Go(func() {
				for range 20 {
					left, wait, err := s.TakeAll(t.Context(), []string{"user:u", "workspace:w"}, []int64{size, 1000}, []int64{perMinute, 1}, 2)
					switch {
					case err != nil:
						t.Error(err)
					case wait == 0:
						passed.Add(1)
					default:
						refused.Add(1)
						if left[0] > 1 || left[1] < 1000-size-2-int64(time.Since(began).Minutes())*2 {
							t.Errorf("refused with %d left", left)
						}
						if wait > 2*time.Minute {
							t.Errorf("to wait %s", wait)
						}
					}
				}
			})
		}
	}
	all.Wait()
	if n, most := passed.Load(), size/2+int64(time.Since(began).Minutes()*perMinute)+1; n < size/2 || n > most {
		t.Errorf("%d passed of buckets that have room for %d to %d", n, size/2, most)
	}
	if passed.Load()+refused.Load() != 160 {
		t.Errorf("%d passed and %d were refused", passed.Load(), refused.Load())
	}
}

// What somebody else left under the key of a bucket is an error and no answer; so is
// a Redis that is away.
func TestEdgeTrustsNothing(t *testing.T) {
	t.Parallel()
	real := redistest.New(t)
	s := open(t, Options{URL: real.URL() + patient})
	s.client.Set(t.Context(), "mgx:edge:user:u", "not a bucket", 0)
	if _, _, err := s.Edge().TakeAll(t.Context(), []string{"user:u"}, []int64{1}, []int64{1}, 1); err == nil {
		t.Error("a text was taken for a bucket")
	}
	away := open(t, Options{URL: "redis://127.0.0.1:1"})
	if _, _, err := away.Edge().TakeAll(t.Context(), []string{"user:u"}, []int64{1}, []int64{1}, 1); err == nil {
		t.Error("a Redis that is not there answered")
	}
}
