package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mgx"
	"mgx/internal/api"
)

// Who looks for work beats; who is stuck makes the server not ready, and who has
// not begun does not.
func TestPulse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &foreman{seats: make(chan struct{}, 2)}
		check := crewChecks(f)[0].Run
		time.Sleep(2 * stuckAfter)
		if err := check(t.Context()); err != nil {
			t.Errorf("before it began: %v", err)
		}
		f.pulse.beat()
		time.Sleep(stuckAfter)
		if err := check(t.Context()); err != nil {
			t.Errorf("in time: %v", err)
		}
		time.Sleep(time.Second)
		if err := check(t.Context()); !mgx.IsCode(err, "workers_stuck") {
			t.Errorf("stuck: %v", err)
		}
		f.pulse.beat()
		if err := check(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
	})
	if crewChecks(nil) != nil {
		t.Error("nobody works, and that is checked")
	}
}

// A server tells those who may hear it how it stands.
func TestServeStatus(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	s := l.serve("127.0.0.1:0", "--workers", "3")
	token, err := os.ReadFile(filepath.Join(l.data(), "token"))
	if err != nil {
		t.Fatal(err)
	}
	var st api.Status
	for st.Workers.Looked == nil { // it looks at once, a little after it listens
		r, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+"/health/status", nil)
		r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		err = json.NewDecoder(resp.Body).Decode(&st)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, err)
		}
	}
	if st.Status != "ready" || st.Version != version || st.Data.Kind != "sqlite" || st.Data.Server == "" || st.Data.Schema < 13 || st.Data.Schema != st.Data.Known ||
		st.Workers.Seats != 3 || st.Events.Head == 0 || st.Disk.Free == 0 || st.Disk.Min != leastDisk || st.Started.IsZero() {
		t.Errorf("%+v", st)
	}
	names := map[string]bool{}
	for _, c := range st.Checks {
		names[c.Name] = true
	}
	for _, name := range []string{"migrations", "database_read", "database_write", "event_log", "disk", "workers"} {
		if !names[name] {
			t.Errorf("%s is not checked, only %v", name, names)
		}
	}
	s.end()
}
