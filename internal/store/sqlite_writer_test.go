package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// While the writer is busy, a change whose context ends is withdrawn; one that
// the writer has picked up is carried out, and its caller told so.
func TestWithdrawn(t *testing.T) {
	t.Parallel()
	s := open(t, place(t), store.Options{})
	sc := begin(t, s)
	if _, ok, err := s.Claim(t.Context(), mgx.ClaimRequest{Owner: "dead", TTL: time.Minute, Now: mgx.Now()}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	busy, release := make(chan struct{}), make(chan struct{})
	claiming, stopClaim := context.WithCancel(t.Context())
	asked := 0
	dead := func(string) bool { // asked once outside and once inside the transaction
		if asked++; asked == 2 {
			close(busy)
			<-release
		}
		return false
	}
	claimed := make(chan error, 1)
	go func() {
		_, ok, err := s.Claim(claiming, mgx.ClaimRequest{Owner: "new", TTL: time.Hour, Now: mgx.Now(), Alive: dead})
		if err == nil && !ok {
			err = errors.New("nothing was claimed")
		}
		claimed <- err
	}()
	<-busy
	stopClaim() // too late

	ctx, stop := context.WithCancel(t.Context())
	committed := make(chan error, 1)
	go func() {
		_, err := s.Commit(ctx, mgx.Change{Events: []mgx.Event{note(sc, "withdrawn")}})
		committed <- err
	}()
	time.AfterFunc(time.Millisecond, stop)
	if err := <-committed; !errors.Is(err, context.Canceled) {
		t.Errorf("the waiting change: %v", err)
	}
	close(release)
	if err := <-claimed; err != nil {
		t.Errorf("the change that was picked up: %v", err)
	}
	commit(t, s, mgx.Change{Events: []mgx.Event{note(sc, "after")}})
	if got, err := s.Events(t.Context(), store.EventQuery{Run: sc.Run, Types: []string{"run.noted"}}); err != nil || len(got) != 1 || !strings.Contains(string(got[0].Data), "after") {
		t.Errorf("stored %+v %v", got, err)
	}
}

// The version of a file stands still while nobody commits.
func TestVersionStands(t *testing.T) {
	t.Parallel()
	path := place(t)
	s, other := open(t, path, store.Options{}), open(t, path, store.Options{})
	begin(t, s)
	before, _ := other.Version(t.Context())
	if after, err := other.Version(t.Context()); err != nil || after != before {
		t.Errorf("moved from %d to %d without a commit (%v)", before, after, err)
	}
	begin(t, s)
	if after, err := other.Version(t.Context()); err != nil || after == before {
		t.Errorf("did not move with a commit (%v)", err)
	}
}
