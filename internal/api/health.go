package api

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"mgx"
)

// Check is one thing the server cannot work without. Run really tries it.
type Check struct {
	Name string
	Run  func(context.Context) error
}

const (
	checkWait = 5 * time.Second // for all checks together
	checkKept = time.Second     // a result answers requests for so long
)

// health runs the checks, at most once at a time and once a second.
type health struct {
	checks []Check

	mu   sync.Mutex
	at   time.Time
	last readiness
}

type readiness struct {
	Status string        `json:"status"` // ready, unavailable
	Checks []checkResult `json:"checks"`
}

type checkResult struct {
	Name   string  `json:"name"`
	Status string  `json:"status"`         // ok, failed
	Code   string  `json:"code,omitempty"` // of the error; the log has its words
	MS     float64 `json:"ms"`
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
		return readiness{Status: "unavailable", Checks: []checkResult{{Name: "draining", Status: "failed", Code: "restarting"}}}
	}
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.at) < checkKept && !h.at.IsZero() {
		return h.last
	}
	ctx, stop := context.WithTimeout(s.draining, checkWait)
	defer stop()
	result := readiness{Status: "ready", Checks: make([]checkResult, len(h.checks))}
	var all sync.WaitGroup
	for i, c := range h.checks {
		all.Go(func() { result.Checks[i] = s.try(ctx, c) })
	}
	all.Wait()
	for _, c := range result.Checks {
		if c.Status != "ok" {
			result.Status = "unavailable"
		}
	}
	h.at, h.last = time.Now(), result
	return result
}

// try runs one check, and does not wait for one that hangs.
func (s *Server) try(ctx context.Context, c Check) checkResult {
	start := time.Now()
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	r := checkResult{Name: c.Name, Status: "ok", MS: float64(time.Since(start).Microseconds()) / 1000}
	if err != nil {
		r.Status, r.Code = "failed", mgx.AsError(err).Code
		s.o.Log.Warn("not ready", "check", c.Name, "error", err)
	}
	return r
}
