package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
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

// What hung may go on to write its answer when nobody waits for it any more: that is then
// in nobody else's.
func TestLateAnswerIsInNoOther(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
		s := New(Options{Hub: hub, Contracts: contracts, Token: "t"})
		ask := func(handle handler) string {
			w := httptest.NewRecorder()
			s.serve(route{pattern: "GET /", handle: handle, needs: anybody}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			return w.Body.String()
		}
		ask(func(w http.ResponseWriter, _ *http.Request) error {
			time.Sleep(30 * time.Second)
			return writeJSON(w, "theirs")
		})
		for range 8 { // while what hung writes
			if got, want := ask(func(w http.ResponseWriter, _ *http.Request) error {
				w.Write([]byte("half "))
				time.Sleep(time.Second)
				w.Write([]byte("and half"))
				return nil
			}), "half and half"; got != want {
				t.Errorf("answered %q", got)
			}
		}
	})
}

// An answer says how long it is, also one that net/http would send in chunks.
func TestAnswerSaysHowLong(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
	s := New(Options{Hub: hub, Contracts: contracts, Token: "t"})
	web := httptest.NewServer(s.serve(route{pattern: "GET /", needs: anybody, handle: func(w http.ResponseWriter, r *http.Request) error {
		return writeJSON(w, strings.Repeat("a", 10_000))
	}}))
	defer web.Close()
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.ContentLength != 10_003 || len(resp.TransferEncoding) > 0 {
			t.Errorf("%s: %d bytes, %v", method, resp.ContentLength, resp.TransferEncoding)
		}
	}
}

// Who is not answered in time is told what may have become of what they asked, and what
// to do about it.
func TestLateAnswersSayWhatToDo(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	const unsure, once, nothing = "may have been done all the same", "send the same request again with the same Idempotency-Key", "nothing was changed"
	for _, c := range []struct {
		method, key string
		about       about
		want        []string
		not         string
	}{
		{"GET", "", about{}, []string{nothing, "ask again"}, unsure},
		{"DELETE", "", about{}, []string{unsure, "look whether it was"}, keyHeader},
		{"PATCH", "k", about{}, []string{unsure, "look whether it was"}, keyHeader}, // it heeds no key
		{"POST", "", about{Made: true}, []string{unsure, "look whether it was", "next time"}, once},
		{"POST", "k", about{Made: true}, []string{unsure, once, "done once"}, "look whether"},
		{"POST", "k", about{Once: true}, []string{unsure, once, "done once"}, "look whether"},
	} {
		for _, deaf := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				hub := event.NewHub(event.HubOptions{Source: nowhere{}, Epoch: "e", Key: make([]byte, 16), Authorize: event.OneWorkspace("ws")})
				s := New(Options{Hub: hub, Contracts: contracts, Token: "t"})
				w, r := httptest.NewRecorder(), httptest.NewRequest(c.method, "/", nil)
				if c.key != "" {
					r.Header.Set(keyHeader, c.key)
				}
				hangs := func(_ http.ResponseWriter, r *http.Request) error {
					if deaf {
						time.Sleep(time.Hour)
					}
					<-r.Context().Done()
					return r.Context().Err()
				}
				s.serve(route{pattern: c.method + " /", handle: hangs, needs: anybody, about: c.about}).ServeHTTP(w, r)
				var p struct{ Code, Detail string }
				json.Unmarshal(w.Body.Bytes(), &p)
				for _, part := range c.want {
					if p.Code != mgx.CodeTimedOut || !strings.Contains(p.Detail, part) || strings.Contains(p.Detail, c.not) {
						t.Errorf("%s, key %q, %+v is answered with %d %s, want %q and not %q", c.method, c.key, c.about, w.Code, w.Body, part, c.not)
					}
				}
				time.Sleep(2 * time.Hour) // what hung ends
			})
		}
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
