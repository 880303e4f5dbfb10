// Package secrettest is the suite that every secret.Wrapper runs.
package secrettest

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"mgx"
	"mgx/internal/secret"
)

// Suite tries what a wrapper promises. Stranger is another of the same kind, which has
// another key.
func Suite(t *testing.T, w, stranger secret.Wrapper) {
	ctx := t.Context()
	key, of := []byte("a key\x00\xff of bytes"), []byte("of\x00this")
	wrapped := func(t *testing.T, key []byte) []byte {
		t.Helper()
		box, err := w.Wrap(ctx, key, of)
		if err != nil {
			t.Fatal(err)
		}
		return box
	}
	refused := func(t *testing.T, what string, w secret.Wrapper, box, of []byte) {
		t.Helper()
		if got, err := w.Unwrap(ctx, box, of); !mgx.IsCode(err, secret.CodeRing) || got != nil {
			t.Errorf("%s: %q %v, want code %s", what, got, err, secret.CodeRing)
		}
	}

	t.Run("round trip", func(t *testing.T) {
		for _, key := range [][]byte{key, {0}, bytes.Repeat([]byte{0xff}, 1024)} {
			box := wrapped(t, key)
			if got, err := w.Unwrap(ctx, box, of); err != nil || !bytes.Equal(got, key) {
				t.Errorf("got %q %v, want %q", got, err, key)
			}
			if !w.Made(box) {
				t.Errorf("it does not know its own box %q", box)
			}
			if bytes.Contains(box, key) && len(key) > 1 {
				t.Errorf("the box %q shows the key", box)
			}
		}
		if bytes.Equal(wrapped(t, key), wrapped(t, key)) {
			t.Error("two boxes of one key are the same")
		}
	})
	t.Run("bound", func(t *testing.T) {
		box := wrapped(t, key)
		refused(t, "of something else", w, box, []byte("of\x00that"))
		refused(t, "of nothing", w, box, nil)
		refused(t, "another key", stranger, box, of)
	})
	t.Run("changed", func(t *testing.T) {
		box := wrapped(t, key)
		for i := 0; i < len(box); i += max(1, len(box)/12) {
			other := slices.Clone(box)
			other[i] ^= 1
			refused(t, fmt.Sprintf("a bit of byte %d", i), w, other, of)
		}
		for what, other := range map[string][]byte{"none": nil, "cut": box[:len(box)-5], "its beginning": box[:3], "longer": append(slices.Clone(box), "AAAA"...), "huge": bytes.Repeat(box, 200), "noise": []byte("\x00\xff\n{}\"")} {
			refused(t, what, w, other, of)
		}
		for _, other := range [][]byte{nil, []byte("x")} {
			if w.Made(other) {
				t.Errorf("%q is taken for a box", other)
			}
		}
	})
	t.Run("many at once", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				key, of := fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "of %d", i)
				box, err := w.Wrap(ctx, key, of)
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := w.Unwrap(ctx, box, of); err != nil || !bytes.Equal(got, key) {
					t.Errorf("got %q %v, want %q", got, err, key)
				}
			})
		}
		all.Wait()
	})
	t.Run("nobody waits", func(t *testing.T) {
		box := wrapped(t, key)
		gone, leave := context.WithCancel(ctx)
		leave()
		if _, err := w.Unwrap(gone, box, of); err != nil && mgx.AsError(err).Kind != mgx.KindStopped {
			t.Errorf("the caller has gone, and is told %v", err)
		}
	})
}
