package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/event"
)

// Whatever hangs, a request is answered with what became of it; what it has
// written until then is not half an answer.
func TestAnswersInTime(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		handle handler
		status int
		code   string
		took   time.Duration
	}{
		"in time": {func(w http.ResponseWriter, _ *http.Request) error {
			time.Sleep(19 * time.Second)
			return writeJSON(w, 1)
		}, 200, "", 19 * time.Second},
		"too late": {func(w http.ResponseWriter, r *http.Request) error { <-r.Context().Done(); return r.Context().Err() }, 503, "timed_out", 20 * time.Second},
		"deaf": {func(w http.ResponseWriter, _ *http.Request) error {
			writeJSON(w, "half")
			time.Sleep(time.Hour)
			return writeJSON(w, "whole")
		}, 503, "timed_out", 25 * time.Second},
		"a clear reason": {func(_ http.ResponseWriter, r *http.Request) error {
			<-r.Context().Done()
			return mgx.Errorf(mgx.KindConfig, "database_unavailable", "away")
		}, 503, "database_unavailable", 20 * time.Second},
		"half and an error": {func(w http.ResponseWriter, _ *http.Request) error {
			writeJSON(w, "half")
			return errors.New("broke")
		}, 500, "internal", 0},
		"panic": {func(http.ResponseWriter, *http.Request) error { panic("oh") }, 500, "internal", 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
			s := New(Options{Hub: hub, Contracts: contracts, Token: "t"})
			w, start := httptest.NewRecorder(), time.Now()
			s.serve(route{handle: c.handle, needs: anybody}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			var p struct{ Code string }
			json.Unmarshal(w.Body.Bytes(), &p)
			if w.Code != c.status || p.Code != c.code || time.Since(start) != c.took {
				t.Errorf("%s: %d %s after %s", name, w.Code, w.Body, time.Since(start))
			}
			time.Sleep(2 * time.Hour) // what hung ends
		})
	}
}

// A check that hangs is begun once, however often somebody asks.
func TestHangingCheck(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var begun atomic.Int32
		check := Check{Name: "disk", Run: func(context.Context) error { begun.Add(1); time.Sleep(time.Minute); return nil }}
		hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
		s := New(Options{Hub: hub, Contracts: contracts, Token: "t", Checks: []Check{check}})
		for range 9 {
			if r := s.ready(); r.Status != "unavailable" || r.Checks[0].Code != "timed_out" || r.Checks[0].Detail == "" {
				t.Errorf("got %+v", r)
			}
			time.Sleep(1500 * time.Millisecond)
		}
		if n := begun.Load(); n != 1 {
			t.Errorf("it was begun %d times", n)
		}
		time.Sleep(time.Minute)
		if r := s.ready(); r.Status != "unavailable" { // the second one hangs, too
			t.Errorf("got %+v", r)
		}
		time.Sleep(time.Minute)
	})
}

// nowhere is a log that nobody reads.
type nowhere struct{ event.Source }
