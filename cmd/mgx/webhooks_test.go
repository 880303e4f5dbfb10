package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mgx"
	"mgx/internal/store"
)

// hookReceiver keeps what it was sent, and may kill who sent it before it
// answers.
type hookReceiver struct {
	mu     sync.Mutex
	got    []mgx.Event
	raw    [][]byte
	secret string
	bad    error
	victim atomic.Pointer[os.Process]
}

func (h *hookReceiver) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var e mgx.Event
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(h.secret, "whsec_")); err == nil {
		mac := hmac.New(sha256.New, key)
		fmt.Fprintf(mac, "%s.%s.%s", r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), body)
		if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || r.Header.Get("webhook-id") != string(e.ID) {
			err = fmt.Errorf("the signature of %s is not right", e.ID)
		}
	}
	if err != nil {
		h.bad = err
	}
	h.got, h.raw = append(h.got, e), append(h.raw, body)
	if len(h.got)%20 == 15 {
		if p := h.victim.Swap(nil); p != nil {
			p.Kill()
		}
	}
}

func (h *hookReceiver) events() []mgx.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]mgx.Event(nil), h.got...)
}

// hookServer starts a server that delivers and does nothing else.
func (l *lab) hookServer(errs *bytes.Buffer) *exec.Cmd {
	l.t.Helper()
	cmd := l.mgx("serve", "--listen", "127.0.0.1:0", "--workers", "0", "--webhook-allow", "127.0.0.0/8", "--log-level", "debug")
	cmd.Stderr = errs
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	return cmd
}

// What a run does arrives at an endpoint outside, signed, in order and complete,
// although the server that sends it is killed now and then.
func TestWebhooksOfARun(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	rec := &hookReceiver{}
	web := httptest.NewServer(rec)
	defer web.Close()
	var added struct {
		Webhook mgx.Webhook
		Secret  string
	}
	if err := json.Unmarshal([]byte(l.must("webhooks", "add", web.URL, "--webhook-allow", "127.0.0.0/8", "--json")), &added); err != nil {
		t.Fatal(err)
	}
	rec.mu.Lock()
	rec.secret = added.Secret
	rec.mu.Unlock()
	l.must("run", "say hello", "--approve", "auto")
	s := l.store()
	want, err := s.Events(t.Context(), store.EventQuery{})
	want = slices.DeleteFunc(want, func(e mgx.Event) bool { return e.Stream.IsAudit() }) // that the endpoint was added
	if err != nil || len(want) < 40 {
		t.Fatalf("%d events %v", len(want), err)
	}
	kills := 0
	var errs bytes.Buffer
	for end := time.Now().Add(5 * time.Minute); !deliveredAll(t, s, string(added.Webhook.ID)); {
		if time.Now().After(end) {
			t.Fatalf("%d of %d events came\n%s", len(rec.events()), len(want), errs.String())
		}
		cmd := l.hookServer(&errs)
		if kills < 2 {
			rec.victim.Store(cmd.Process)
			cmd.Wait()
			kills++
			continue
		}
		for time.Now().Before(end) && !deliveredAll(t, s, string(added.Webhook.ID)) {
			time.Sleep(20 * time.Millisecond)
		}
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v\n%s", err, errs.String())
		}
	}
	rec.compare(t, want)
	if strings.Contains(errs.String(), added.Secret[6:]) {
		t.Error("the secret is in the log")
	}
	if out := l.must("webhooks", "deliveries", string(added.Webhook.ID), "--json", "--limit", "1000"); strings.Count(out, `"delivered"`) != len(want) {
		t.Errorf("deliveries:\n%s", out)
	}
}

// deliveredAll reports whether the whole log is delivered, but for the audit log,
// which is for those who ask for it.
func deliveredAll(t *testing.T, s *store.Store, id string) bool {
	t.Helper()
	head, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	audit, err := s.AuditSize(t.Context(), mgx.DefaultWorkspace)
	if err != nil {
		t.Fatal(err)
	}
	done, err := s.Deliveries(t.Context(), mgx.DeliveryQuery{Workspace: mgx.DefaultWorkspace, Webhook: mgx.WebhookID(id), Statuses: []mgx.DeliveryStatus{mgx.DeliveryDelivered}})
	if err != nil {
		t.Fatal(err)
	}
	return int64(len(done)) == head-audit
}

// compare holds what came against the log: everything, each stream in order,
// the data byte for byte.
func (h *hookReceiver) compare(t *testing.T, want []mgx.Event) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.bad != nil {
		t.Error(h.bad)
	}
	stored, seen, last := map[mgx.EventID]mgx.Event{}, map[mgx.EventID]bool{}, map[mgx.StreamID]int64{}
	for _, e := range want {
		stored[e.ID] = e
	}
	for i, e := range h.got {
		if !bytes.HasSuffix(h.raw[i], append([]byte(`"data":`), append(stored[e.ID].Data, '}')...)) {
			t.Errorf("%s came as %s", e.ID, h.raw[i])
		}
		if e.Sequence < last[e.Stream] {
			t.Errorf("%s: %d came after %d", e.Stream, e.Sequence, last[e.Stream])
		}
		seen[e.ID], last[e.Stream] = true, e.Sequence
	}
	if len(seen) != len(want) {
		t.Errorf("%d of %d events came", len(seen), len(want))
	}
	t.Logf("%d events in %d messages", len(want), len(h.got))
}
