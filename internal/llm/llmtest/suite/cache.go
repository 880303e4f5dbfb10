package suite

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"mgx/internal/llm"
)

// CacheStore is a kind of [llm.Cache] under test.
type CacheStore struct {
	// Open returns a cache that is empty for the test, and keeps answers so long.
	Open func(t *testing.T, ttl time.Duration) llm.Cache
	// Pass lets time pass in it; nil: it takes the time that it takes.
	Pass func(time.Duration)
	// Most is the largest answer that it must keep, in bytes.
	Most int
}

// Caches holds a kind of cache to what every cache must do.
func Caches(t *testing.T, s CacheStore) {
	ctx := context.Background()
	get := func(t *testing.T, c llm.Cache, key, want string) {
		t.Helper()
		if got, ok := c.Get(ctx, key); ok != (want != "") || string(got) != want {
			t.Errorf("%s is %.40q (%v), want %.40q", key, got, ok, want)
		}
	}
	t.Run("keeps", func(t *testing.T) {
		c := s.Open(t, time.Hour)
		get(t, c, "a", "")
		c.Put(ctx, "a", []byte("one"))
		c.Put(ctx, "b", []byte("\x00\xff\r\n$5\r\n"))
		get(t, c, "a", "one")
		get(t, c, "b", "\x00\xff\r\n$5\r\n")
		get(t, c, "c", "")
		c.Put(ctx, "a", []byte("two"))
		get(t, c, "a", "two")
		whole := bytes.Repeat([]byte("x"), s.Most)
		c.Put(ctx, "large", whole)
		get(t, c, "large", string(whole))
	})
	t.Run("forgets", func(t *testing.T) {
		c := s.Open(t, 100*time.Millisecond)
		c.Put(ctx, "a", []byte("one"))
		if s.Pass != nil {
			get(t, c, "a", "one")
			s.Pass(99 * time.Millisecond)
			get(t, c, "a", "one")
			s.Pass(time.Millisecond)
			get(t, c, "a", "")
			return
		}
		for {
			if _, ok := c.Get(ctx, "a"); !ok {
				return // the test's own end bounds how long that may take
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	t.Run("forgets what begins so", func(t *testing.T) {
		c := s.Open(t, time.Hour)
		for n := range 1500 {
			c.Put(ctx, fmt.Sprint("one:", n), []byte("one"))
		}
		c.Put(ctx, "other:1", []byte("other"))
		if err := c.Forget(ctx, "one:"); err != nil {
			t.Fatal(err)
		}
		for n := range 1500 {
			get(t, c, fmt.Sprint("one:", n), "")
		}
		get(t, c, "other:1", "other")
	})
	t.Run("does not mind who calls", func(t *testing.T) {
		c := s.Open(t, time.Hour)
		ended, cancel := context.WithCancel(ctx)
		cancel()
		c.Put(ended, "ended", []byte("ended"))
		get(t, c, "ended", "ended")
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for n := range 50 {
					key := fmt.Sprint("key", n%10)
					if got, ok := c.Get(ctx, key); ok && string(got) != "value of "+key {
						t.Errorf("%s is %q", key, got)
					}
					if n%8 == i {
						c.Put(ctx, key, []byte("value of "+key))
					}
				}
			})
		}
		all.Wait()
	})
}
