package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/store"
	"mgx/internal/store/pgtest"
	"mgx/internal/store/storetest"
)

// Whether old events go row by row or with their partition, nobody can tell. A few
// histories each time: each needs a database of its own.
func TestRetentionIsTheSameOnBoth(t *testing.T) {
	t.Parallel()
	const histories = 4
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n > histories && !t.Failed() {
			return
		}
		file, address := filepath.Join(t.TempDir(), fmt.Sprint(n), "mgx.db"), pgtest.NewDatabase(t)
		opener := func(place string) func(func(*store.Options)) storetest.RetentionStore {
			return func(set func(*store.Options)) storetest.RetentionStore {
				var o store.Options
				set(&o)
				s, err := store.Open(context.Background(), place, o)
				if err != nil {
					rt.Fatal(err)
				}
				return s
			}
		}
		storetest.Same(rt, opener(file), opener(address))
	})
}
