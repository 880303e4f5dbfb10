package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A stream that goes on when the server goes down ends with the dialect's error, not
// merely broken off, and is paid for.
func TestStreamsAreToldThatTheServerGoesDown(t *testing.T) {
	t.Parallel()
	begun, end := make(chan struct{}), make(chan struct{})
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			http.NotFound(w, r) // it lists no models
			return
		}
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, `data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}`+"\n\n")
		http.NewResponseController(w).Flush()
		close(begun)
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}))
	t.Cleanup(up.Close)
	defer close(end)
	l := newLab(t, labScript)
	models := filepath.Join(l.home, "models.json")
	if err := os.WriteFile(models, []byte(`{"providers": {"p": {"dialect": "openai", "base_url": "`+up.URL+`", "key": "k-0123456789"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	l.env = append(l.env, "MGX_MODELS_FILE="+models)
	s := l.serve("127.0.0.1:0", "--workers", "0")
	_, key := l.newKey()
	answer := s.open(key, `{"model":"p/gpt-4o","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hello"}]}`)
	defer answer.Body.Close()
	<-begun
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(answer.Body)
	if text := string(got); !strings.Contains(text, "hello") || !strings.Contains(text, `"error"`) || !strings.Contains(text, "going down") || strings.Contains(text, "[DONE]") {
		t.Errorf("the stream was %s", text)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server did not end well: %v\n%s", err, s.errs.String())
	}
	if out := l.must("usage", "--by", "call", "--json"); !strings.Contains(out, "gpt-4o") {
		t.Errorf("usage %s", out)
	}
}
