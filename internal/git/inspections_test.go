package git

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Who asks while one inspection is under way has part in the next, all in the same
// one, and nobody in one that began before they asked.
func TestInspectionsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := NewInspections()
		var mu sync.Mutex
		var began []time.Time
		times := func() []time.Time {
			mu.Lock()
			defer mu.Unlock()
			return began
		}
		i.inspect = func(ctx context.Context, dir string) (*Source, error) {
			mu.Lock()
			began = append(began, time.Now())
			nth := len(began)
			mu.Unlock()
			time.Sleep(time.Second)
			if nth == 2 {
				return nil, errors.New("broken")
			}
			return &Source{GitDir: dir}, ctx.Err()
		}
		var all sync.WaitGroup
		ask := func(after time.Duration, want error) {
			all.Go(func() {
				time.Sleep(after)
				asked := time.Now()
				src, err := i.Inspect(t.Context(), "/a")
				if (err != nil) != (want != nil) || err == nil && src.GitDir != "/a" {
					t.Errorf("asked after %v: %+v %v", after, src, err)
				}
				if last := times()[len(times())-1]; last.Before(asked) {
					t.Errorf("asked after %v, and got what was begun %v before", after, asked.Sub(last))
				}
			})
		}
		ask(0, nil)
		for n := range 20 {
			ask(time.Duration(n+1)*10*time.Millisecond, errors.New("broken"))
		}
		ask(1500*time.Millisecond, nil)
		all.Wait()
		synctest.Wait()
		if n := len(times()); n != 3 {
			t.Errorf("%d inspections for those who asked at three times", n)
		}
		i.mu.Lock()
		defer i.mu.Unlock()
		if len(i.next) != 0 {
			t.Errorf("%d are kept", len(i.next))
		}
	})
}

// Who leaves takes nothing from the others.
func TestInspectionOutlivesWhoAsked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i := NewInspections()
		i.inspect = func(ctx context.Context, _ string) (*Source, error) {
			time.Sleep(time.Second)
			return &Source{}, ctx.Err()
		}
		leaving, leave := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := i.Inspect(leaving, "/a"); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		leave()
		all.Go(func() {
			if _, err := i.Inspect(t.Context(), "/a"); err != nil {
				t.Error(err)
			}
		})
		all.Wait()
	})
}
