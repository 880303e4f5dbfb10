package webhook_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/webhook"
)

// Of an address nothing but scheme and host is in any list, answer, log line, audit
// entry or export, though the endpoint repeats it and its host does not answer; and what
// is sent goes to the whole of it.
func TestAddressesAreShownInPart(t *testing.T) { onEach(t, testAddresses) }

func testAddresses(t *testing.T, l *lab) {
	const path, query = "/services/T0MAGPIE/B%2FMAGPIE", "token=MAGPIE99"
	echo := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ message, _, _ int) {
		if r.URL.EscapedPath() != path || r.URL.RawQuery != query {
			t.Errorf("sent to %s", r.URL)
		}
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprintf(w, "Cannot POST %s, that is %s, %q, key %s %s", r.RequestURI, r.URL.Path, r.URL, r.URL.Query().Get("token"), strings.Repeat("x", 1900)+r.URL.EscapedPath())
	})
	web := httptest.NewServer(echo)
	whole, shown := web.URL+path+"?"+query, web.URL+"/…"
	w, _ := l.add(whole)
	stop := l.run(webhook.Options{})
	sent := l.say("task_a", "agent.message", 1)
	l.until("an attempt", func() bool { return len(l.attempts(w.ID, sent[0].ID)) > 0 })
	tried, err := l.ends.Test(t.Context(), w.ID)
	if err != nil || tried.Status != 500 || !strings.Contains(tried.Response, "Cannot POST …") {
		t.Errorf("%+v %v", tried, err)
	}
	all, err := l.ends.List(t.Context())
	if err != nil || len(all) != 1 || all[0].URL != shown || w.URL != shown {
		t.Errorf("%+v %v", all, err)
	}
	// As it is shown it stands for what there is, and is no address of anything else.
	changed, err := l.ends.Update(t.Context(), w.ID, webhook.Change{URL: &shown, Description: new("chat")})
	if err != nil || changed.URL != shown || changed.Description != "chat" {
		t.Errorf("%+v %v", changed, err)
	}
	if again, err := l.ends.Test(t.Context(), w.ID); err != nil || again.Status != 500 {
		t.Errorf("after the change: %+v %v", again, err)
	}
	if _, _, err := l.ends.Add(t.Context(), webhook.NewEndpoint{URL: shown}); !mgx.IsCode(err, webhook.CodeBadAddress) {
		t.Errorf("an address that was copied: %v", err)
	}
	web.Close()
	if refused, err := l.ends.Test(t.Context(), w.ID); err != nil || refused.Error != "the endpoint refused the connection" {
		t.Errorf("%+v %v", refused, err)
	}
	second := l.say("task_b", "agent.message", 1)
	l.until("another attempt", func() bool {
		return len(l.attempts(w.ID, second[0].ID)) > 0 && strings.Contains(l.said.String(), "refused")
	})
	stop()
	other := web.URL + "/other/MAGPIE"
	if _, err := l.ends.Update(t.Context(), w.ID, webhook.Change{URL: &other}); err != nil {
		t.Error(err)
	}
	entries, err := l.s.AuditEntries(t.Context(), ws, 0)
	if err != nil || len(entries) < 3 {
		t.Errorf("%d entries %v", len(entries), err)
	}
	if last := string(entries[len(entries)-1].Data); !strings.Contains(last, `"url_changed":true`) {
		t.Errorf("the log tells nothing of another path: %s", last)
	}
	var exported []any
	if err := l.s.ExportWorkspace(t.Context(), ws, func(_ string, record any) error { exported = append(exported, record); return nil }); err != nil {
		t.Fatal(err)
	}
	for what, text := range map[string]string{
		"lists": mustJSON(t, all) + mustJSON(t, w) + mustJSON(t, changed), "attempts": mustJSON(t, l.attempts(w.ID, sent[0].ID)) + mustJSON(t, tried), "deliveries": mustJSON(t, l.deliveries(w.ID)),
		"the log": l.said.String(), "the audit log": mustJSON(t, entries), "an export": mustJSON(t, exported),
	} {
		if strings.Contains(text, "MAGPIE") || strings.Contains(text, url.QueryEscape(path)) {
			t.Errorf("%s: %s", what, text)
		}
	}
}

func TestShownAddress(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://example.com": "https://example.com", "https://example.com/": "https://example.com/", "https://example.com:8443/a": "https://example.com:8443/…",
		"https://example.com?a=b": "https://example.com/…", "https://example.com/?": "https://example.com/", "nonsense": "…", "": "…",
	} {
		if got := mgx.ShownAddress(address); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
	}
}
