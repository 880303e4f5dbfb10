package event_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/event"
)

// Processes on one log take each other's tokens, also those signed with a key
// that one of them does not know yet or does not sign with any more.
func TestHubSharesKeys(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "mgx.db"))
	sc := begin(t, s)
	commit(t, s, note(sc, "x"))
	older, newer, newest := []byte("older-0123456789abcdef"), []byte("newer-0123456789abcdef"), []byte("newest-0123456789abcdef")
	var asked atomic.Int32
	keys := [][]byte{newer, older}
	failure := error(nil)
	ask := func(context.Context) ([][]byte, error) { asked.Add(1); return keys, failure }
	a := startHub(t, event.HubOptions{Source: s, Key: older, Keys: ask})
	b := startHub(t, event.HubOptions{Source: s, Key: newer, Keys: ask})
	token := func(h *event.Hub) string {
		sub := subscribe(t, h, event.SubscribeRequest{})
		defer sub.Close()
		return sub.Token(1)
	}
	resume := func(h *event.Hub, token string) error {
		sub, err := h.Subscribe(t.Context(), event.SubscribeRequest{Channels: channels(t), Resume: token})
		if err == nil {
			sub.Close()
		}
		return err
	}
	ofOlder, ofNewer := token(a), token(b)
	for i, c := range []struct {
		h     *event.Hub
		token string
		asks  int32
	}{
		{a, ofOlder, 0}, // what it signs itself
		{b, ofOlder, 1}, // unknown here: it asks
		{b, ofOlder, 1}, // and knows it then
		{a, ofNewer, 2},
	} {
		if err := resume(c.h, c.token); err != nil || asked.Load() != c.asks {
			t.Errorf("%d: %v, asked %d times, want %d", i, err, asked.Load(), c.asks)
		}
	}
	if token(a) != ofNewer {
		t.Error("it does not sign with the key that it was told signs")
	}
	b.SetKeys(newest)
	var reset *event.Reset
	if err := resume(a, token(b)); !errors.As(err, &reset) || reset.Reason != event.ResetToken {
		t.Errorf("a key that is not known anywhere: %v", err)
	}
	if failure = errors.New("away"); !errors.Is(resume(a, token(b)), failure) {
		t.Error("when it cannot ask it must not say that the token is none")
	}
}

// A reader that comes from a process which is further is waited for, and told to
// come again when that takes too long. It has not lost its place.
func TestHubIsBehindItsReader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mgx.db")
	synctest.Test(t, func(t *testing.T) {
		src := &failing{Store: open(t, path)}
		sc := begin(t, src.Store)
		h := startHub(t, event.HubOptions{Source: src})
		subscribe(t, h, event.SubscribeRequest{}).Close()
		synctest.Wait()
		src.set(errors.New("slow"), 0)
		for i := range 3 {
			commit(t, src.Store, note(sc, fmt.Sprint(i)))
		}
		position := int64(4)
		r := event.SubscribeRequest{Channels: channels(t), After: &position}
		if _, err := h.Subscribe(t.Context(), r); !mgx.IsCode(err, event.CodeBehind) {
			t.Fatalf("got %v", err)
		}
		time.AfterFunc(time.Second, func() { src.set(nil, 0) })
		var sub *event.Subscription
		for err := error(mgx.Errorf("", event.CodeBehind, "")); err != nil; {
			if sub, err = h.Subscribe(t.Context(), r); err != nil && !mgx.IsCode(err, event.CodeBehind) {
				t.Fatal(err)
			}
		}
		defer sub.Close()
		commit(t, src.Store, note(sc, "next"))
		if list, err := sub.Next(t.Context()); err != nil || list[0].Position != 5 {
			t.Errorf("got %v %v", list, err)
		}
	})
}
