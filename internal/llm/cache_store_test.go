package llm_test

import (
	"testing"
	"time"

	"mgx/internal/llm"
	"mgx/internal/llm/llmtest/suite"
)

func TestCaches(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	suite.Caches(t, suite.CacheStore{
		Open: func(_ *testing.T, ttl time.Duration) llm.Cache {
			return llm.NewMemoryCache(64<<20, ttl, func() time.Time { return now })
		},
		Pass: func(d time.Duration) { now = now.Add(d) },
		Most: 4 << 20,
	})
}

func TestTieredCaches(t *testing.T) {
	t.Parallel()
	near := llm.NewMemoryCache(64<<20, time.Minute, nil)
	far := llm.NewMemoryCache(64<<20, time.Hour, nil)
	if llm.Tiered(near, nil) != llm.Cache(near) || llm.Tiered(nil, far) != llm.Cache(far) || llm.Tiered(nil, nil) != nil {
		t.Error("one cache is not itself")
	}
	ctx, both := t.Context(), llm.Tiered(near, far)
	both.Put(ctx, "both", []byte("1"))
	far.Put(ctx, "far", []byte("2"))
	for key, want := range map[string]string{"both": "1", "far": "2", "none": ""} {
		for _, c := range []llm.Cache{both, near} { // what far had is near now
			if got, ok := c.Get(ctx, key); string(got) != want || ok != (want != "") {
				t.Errorf("%s is %q (%v), want %q", key, got, ok, want)
			}
		}
	}
	suite.Caches(t, suite.CacheStore{
		Open: func(_ *testing.T, ttl time.Duration) llm.Cache {
			return llm.Tiered(llm.NewMemoryCache(64<<20, ttl, nil), llm.NewMemoryCache(64<<20, ttl, nil))
		},
		Most: 4 << 20,
	})
}
