package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"mgx/internal/store/pgtest"
)

// A server whose NATS is not there starts, is ready, and says what is missing
// without what gives access.
func TestServeWithoutNATS(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	address := pgtest.New(t).NewDatabase(t)
	s := l.serve("127.0.0.1:0", "--workers", "0", "--database", address, "--nats", "nats://me:hunter22@127.0.0.1:1")
	s.ready(nil)
	resp, err := http.Get(s.url + "/health/ready")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var r struct {
		Status string
		Checks []struct{ Name, Status, Code, Detail string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if c := r.Checks[0]; r.Status != "ready" || c.Name != "wake_ups" || c.Status != "warning" || c.Code != "nats_unavailable" || !strings.Contains(c.Detail, "PostgreSQL carries") {
		t.Errorf("got %+v", r)
	}
	s.end()
	if said := s.errs.String(); strings.Contains(said, "hunter22") || strings.Count(said, "NATS") > 2 {
		t.Errorf("said %s", said)
	}
	out, _, _ := l.run("doctor", "--database", address, "--nats", "nats://me:hunter22@127.0.0.1:1") // its exit is about the machine
	if !strings.Contains(out, "NATS at nats://127.0.0.1:1 cannot be reached") || strings.Contains(out, "hunter22") {
		t.Errorf("doctor said %s", out)
	}
}
