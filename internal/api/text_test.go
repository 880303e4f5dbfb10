package api_test

import (
	"net/http"
	"strings"
	"testing"
)

// What no database keeps as text is refused, wherever it is, also of strangers, and
// never fails the server. A browser may call itself what it likes.
func TestWhatIsNoText(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	for _, bad := range []string{"%00", "a%00b", "%FF%FE"} {
		for _, kind := range []string{"budgets", "keys", "members", "invitations", "roles", "secrets", "webhooks", "templates", "workspaces", "consumers", "quotas", "runs", "tasks"} {
			for _, method := range []string{"GET", "DELETE"} {
				if got := w.do(admin, method, "/api/v1/"+kind+"/"+bad, nil, nil); got.status != http.StatusNotFound {
					t.Errorf("%s %s/%s: %d %s", method, kind, bad, got.status, got.body)
				}
			}
			if got := w.do(admin, "GET", "/api/v1/"+kind+"?page_token="+bad, nil, nil); got.status >= 500 || got.status < 400 {
				t.Errorf("%s of page %s: %d %s", kind, bad, got.status, got.body)
			}
		}
		if got := w.do(admin, "GET", "/api/v1/usage?project="+bad, nil, nil); got.status != http.StatusBadRequest || !strings.Contains(got.body, `"bad_query"`) {
			t.Errorf("usage: %d %s", got.status, got.body)
		}
	}
	for at, body := range map[string]any{
		"POST /api/v1/auth/sign-in": map[string]string{"email": "a\x00@b.c", "password": "x"},
		"POST /api/v1/invitations":  map[string]string{"role": "vie\x00wer"},
		"PUT /api/v1/roles/abc":     map[string]any{"description": "a\x00", "permissions": []string{}},
		"POST /api/v1/webhooks":     map[string]any{"url": "https://example.com/x", "types": []string{"a\x00"}},
		"POST /api/v1/budgets":      map[string]any{"a\x00": 1},
	} {
		method, path, _ := strings.Cut(at, " ")
		if got := w.do(admin, method, path, body, nil); got.status != http.StatusBadRequest || !strings.Contains(got.body, `"bad_body"`) {
			t.Errorf("%s: %d %s", at, got.status, got.body)
		}
	}
	if got := w.call(admin, "GET", "/api/v1/me", nil, nil, with("Mgx-Workspace", "\xff")); got.status != http.StatusBadRequest {
		t.Errorf("Mgx-Workspace: %d %s", got.status, got.body)
	}
	sign := map[string]string{"email": "admin@example.com", "password": townPassword}
	if got := w.call("", "POST", "/api/v1/auth/sign-in", sign, nil, with("User-Agent", "\xff\xfe")); got.status != http.StatusOK {
		t.Errorf("a browser with a strange name: %d %s", got.status, got.body)
	}
}
