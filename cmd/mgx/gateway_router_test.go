package main

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mgx/internal/llm"
)

// A router is made anew after a minute, beside those who go on with the old one, and
// what fails is tried again.
func TestRoutersAreRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fail, made := true, 0
		hold := make(chan struct{}, 10)
		r := &renewed{make: func() (*llm.Router, error) {
			<-hold
			if made++; fail {
				return nil, errors.New("not now")
			}
			return llm.NewRouter(llm.Options{}), nil
		}}
		get := func() *llm.Router {
			router, _ := r.get(time.Now())
			return router
		}
		hold <- struct{}{}
		if get() != nil {
			t.Error("there is a router")
		}
		fail = false
		hold <- struct{}{}
		first := get()
		if first == nil || made != 2 {
			t.Fatalf("made %d times", made)
		}
		time.Sleep(routerFresh - time.Nanosecond)
		if get() != first || made != 2 {
			t.Error("made anew too soon")
		}
		time.Sleep(time.Nanosecond)
		for range 3 { // one of them has it made
			if get() != first {
				t.Error("the old one does not serve while a new one is made")
			}
		}
		hold <- struct{}{}
		synctest.Wait()
		second := get()
		if second == first || made != 3 {
			t.Errorf("made %d times", made)
		}
		fail = true
		time.Sleep(routerFresh)
		hold <- struct{}{}
		get()
		synctest.Wait()
		if get() != second || made != 4 {
			t.Errorf("what could not be made is used; made %d times", made)
		}
	})
}
