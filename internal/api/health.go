package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"mgx"
)

// Check is one thing the server needs. Run really tries it.
type Check struct {
	Name     string
	Run      func(context.Context) error
	Optional bool // the server is ready without it: failing is a warning
}

const (
	checkWait = 5 * time.Second // for all checks together
	checkKept = time.Second     // a result answers requests for so long
	checkSlow = 2 * time.Second // from here on a check that works is said to be slow
)

// health runs the checks, at most once at a time and once a second.
type health struct {
	checks []Check

	mu      sync.Mutex
	at      time.Time
	last    readiness
	hanging []<-chan error // by check: what was not waited for to its end
}

type readiness struct {
	Status string  `json:"status"` // ready, unavailable
	Checks []tried `json:"checks"`
}

type tried struct {
	Name   string  `json:"name"`
	Status string  `json:"status"`         // ok, slow, warning, failed
	Code   string  `json:"code,omitempty"` // of the error
	Detail string  `json:"detail,omitempty"`
	MS     float64 `json:"ms"`
}

// details say in words what the codes of checks mean that are of checks alone.
var details = map[string]string{
	"timed_out":     "no answer within 5 seconds",
	"workers_stuck": "nobody has looked for runs to work on for a minute: restart the server",
	"restarting":    "the server is stopping or starting",
}

func detail(code string) string {
	return cmp.Or(details[code], mgx.Ailing(code), "it failed; the server's log says why")
}

// getLive says that the process answers.
func (s *Server) getLive(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]string{"status": "live"})
}

// getReady says whether the server can do its work, by trying.
func (s *Server) getReady(w http.ResponseWriter, _ *http.Request) error {
	result := s.ready()
	w.Header().Set("Content-Type", "application/json")
	if result.Status != "ready" {
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	return json.NewEncoder(w).Encode(result)
}

func (s *Server) ready() readiness {
	if s.draining.Err() != nil {
		return readiness{Status: "unavailable", Checks: []tried{{Name: "draining", Status: "failed", Code: "restarting", Detail: detail("restarting")}}}
	}
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < checkKept && !h.at.IsZero() {
		return h.last
	}
	ctx, stop := context.WithTimeout(s.draining, checkWait)
	defer stop()
	if h.hanging == nil {
		h.hanging = make([]<-chan error, len(h.checks))
	}
	result := readiness{Status: "ready", Checks: make([]tried, len(h.checks))}
	var all sync.WaitGroup
	for i := range h.checks {
		all.Go(func() { result.Checks[i] = s.try(ctx, i) })
	}
	all.Wait()
	for _, c := range result.Checks {
		if c.Status == "failed" {
			result.Status = "unavailable"
		}
	}
	h.at, h.last = time.Now(), result
	return result
}

// try runs one check, and does not wait for one that hangs. One that hangs is not
// begun again before it has ended; how it ended is then old news.
func (s *Server) try(ctx context.Context, i int) tried {
	check, start := s.health.checks[i], time.Now()
	done := s.health.hanging[i]
	select {
	case <-done:
		done = nil
	default:
	}
	if done == nil {
		made := make(chan error, 1)
		go func() { made <- check.Run(ctx) }()
		done = made
	}
	var err error
	select {
	case err = <-done:
		s.health.hanging[i] = nil
	case <-ctx.Done():
		err = ctx.Err()
		s.health.hanging[i] = done
	}
	took := time.Since(start)
	r := tried{Name: check.Name, Status: "ok", MS: float64(took.Microseconds()) / 1000}
	switch {
	case err != nil && check.Optional:
		r.Status, r.Code = "warning", mgx.AsError(err).Code
		r.Detail = detail(r.Code)
	case err != nil:
		r.Status, r.Code = "failed", mgx.AsError(err).Code
		r.Detail = detail(r.Code)
		s.o.Log.Warn("not ready", "check", check.Name, "error", err)
	case took >= checkSlow:
		r.Status, r.Detail = "slow", "it works, and takes far longer than it should"
	}
	return r
}
