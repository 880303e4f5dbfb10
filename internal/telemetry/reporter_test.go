package telemetry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx/internal/telemetry"
)

// Errors of the log, and nothing else of it, arrive as the protocol wants them,
// without secrets, each kind once in a while; a service that is full is left alone.
func TestReporter(t *testing.T) {
	t.Parallel()
	type arrival struct {
		path, auth, kind string
		lines            []string
	}
	arrived := make(chan arrival, 100)
	status := make(chan int, 100)
	sink := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrived <- arrival{r.URL.Path, r.Header.Get("X-Sentry-Auth"), r.Header.Get("Content-Type"), strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")}
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(<-status)
	}))
	defer sink.Close()
	r, err := telemetry.NewReporter(strings.Replace(sink.URL, "http://", "http://public@", 1)+"/sub/42", "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	hide := func(s string) string { return strings.ReplaceAll(s, "hunter22", "[redacted]") }
	log := telemetry.NewLogger(&out, telemetry.Options{Redact: hide, Report: r})
	log.Info("all is well")
	log.Warn("hm")
	for range 3 {
		log.With("who", "hunter22").WithGroup("at").Error("it failed with hunter22", "code", "bad", "error", errors.New("open hunter22: no"))
	}
	status <- 200
	got := <-arrived
	if got.path != "/sub/api/42/envelope/" || !strings.Contains(got.auth, "sentry_key=public") || got.kind != "application/x-sentry-envelope" || len(got.lines) != 3 {
		t.Fatalf("%+v", got)
	}
	var item struct {
		Type   string
		Length int
	}
	var event struct {
		ID        string `json:"event_id"`
		Level     string
		Release   string
		Message   struct{ Formatted string }
		Extra     map[string]any
		Timestamp string
	}
	if err := errors.Join(json.Unmarshal([]byte(got.lines[1]), &item), json.Unmarshal([]byte(got.lines[2]), &event)); err != nil {
		t.Fatal(err)
	}
	at, _ := event.Extra["at"].(map[string]any)
	if item.Type != "event" || item.Length != len(got.lines[2]) || len(event.ID) != 32 || event.Level != "error" || event.Release != "mgx@1.2.3" ||
		event.Message.Formatted != "it failed with [redacted]" || event.Extra["who"] != "[redacted]" || at["error"] != "open [redacted]: no" {
		t.Errorf("%s", got.lines)
	}
	log.Error("another") // the first that the service refuses
	status <- 429
	if got := <-arrived; !strings.Contains(got.lines[2], "another") {
		t.Errorf("the same error twice: %s", got.lines)
	}
	log.Error("yet another") // and now it is left alone
	r.Close()
	log.Error("after the end")
	select {
	case got := <-arrived:
		t.Errorf("it was not left alone: %s", got.lines)
	default:
	}
	if strings.Contains(out.String(), "hunter22") || strings.Count(out.String(), "level=ERROR") != 6 {
		t.Errorf("%s", out.String())
	}
	var none *telemetry.Reporter
	none.Close()
}

func TestDSN(t *testing.T) {
	t.Parallel()
	for dsn, ok := range map[string]bool{
		"https://key@o1.ingest.example.com/42": true, "http://key@127.0.0.1:9000/a/1": true,
		"": false, "https://example.com/42": false, "https://key@example.com": false, "https://key@example.com/": false, "ftp://key@example.com/1": false,
		"https://key@example.com/1?x=y": false, "key@example.com/1": false, "https://hunter22@exa mple.com/1": false,
	} {
		err := telemetry.CheckDSN(dsn)
		if (err == nil) != ok {
			t.Errorf("%s: %v", dsn, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter22") {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
}
