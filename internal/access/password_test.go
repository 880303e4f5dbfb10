package access

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"mgx"
)

// Passwords are hashed a few at a time; who comes when many wait is told so, and
// who waits in vain leaves.
func TestHashingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := NewHasher(Params{Memory: 8, Time: 1, Threads: 1})
		for range maxHashing {
			h.slots <- struct{}{} // somebody is at it
			h.waiting.Add(1)
		}
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range maxWaiting {
			all.Go(func() {
				if _, err := h.Hash(ctx, "x"); err != context.Canceled {
					t.Errorf("who waited got %v", err)
				}
			})
		}
		synctest.Wait()
		if _, err := h.Hash(ctx, "x"); !mgx.IsCode(err, "too_busy") {
			t.Errorf("one too many got %v", err)
		}
		stop()
		all.Wait()
		<-h.slots
		h.waiting.Add(-1)
		if _, err := h.Hash(t.Context(), "x"); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
