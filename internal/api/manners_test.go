package api_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"mgx/internal/api"
	"mgx/internal/event"
)

// Pages of origins that were named may use the server, with a token; others not, and
// nobody by a cookie.
func TestOtherOrigins(t *testing.T) {
	t.Parallel()
	s := newSite(t, api.Options{Origins: []string{"https://app.example.com"}}, event.HubOptions{})
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "https://app.example.com:8443": false, "http://app.example.com": false, "https://evil.example": false,
		"https://app.example.com.evil.example": false, "null": false, "https://APP.example.com": false,
	} {
		for _, method := range []string{"GET", "OPTIONS"} {
			resp := s.do(method, "/api/v1/me", func(r *http.Request) {
				r.Header.Set("Origin", origin)
				if method == "OPTIONS" {
					r.Header.Del("Authorization")
					r.Header.Set("Access-Control-Request-Method", "PATCH")
				}
			})
			allowed := resp.Header.Get("Access-Control-Allow-Origin")
			if want != (allowed == origin) || want != (resp.StatusCode < 300) || !want && resp.StatusCode != 403 {
				t.Errorf("%s by %s: %d, %q", method, origin, resp.StatusCode, allowed)
			}
			if resp.Header.Get("Access-Control-Allow-Credentials") != "" || want && !strings.Contains(resp.Header.Get("Vary"), "Origin") {
				t.Errorf("%s by %s: %v", method, origin, resp.Header)
			}
			if want && method == "OPTIONS" && (!strings.Contains(resp.Header.Get("Access-Control-Allow-Methods"), "PATCH") || !strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "If-Match")) {
				t.Errorf("asked by %s: %v", origin, resp.Header)
			}
		}
	}
	for text, want := range map[string]string{
		"https://app.example.com": "https://app.example.com", "https://App.Example.com:8443": "https://app.example.com:8443", "*": "", "https://*.example.com": "",
		"https://app.example.com/": "", "app.example.com": "", "https://a b": "", "javascript:x": "", "https://u@app.example.com": "", "null": "",
	} {
		if got, err := api.Origin(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
}

// Long answers are compressed for who likes it, and none that a secret is in.
func TestCompression(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	for accept, want := range map[string]bool{
		"gzip": true, "br, gzip;q=0.5": true, "": false, "identity": false, "br": false, "gzip;q=0": false, "gzip;q=0.000": false, "*": false, "GZIP": true,
	} {
		got := w.call(admin, "GET", "/api/v1/events/schemas", nil, nil, with("Accept-Encoding", accept))
		zipped := got.header.Get("Content-Encoding") == "gzip"
		if w.must(got, 200); zipped != want || got.header.Get("Vary") == "" {
			t.Errorf("%q: %v", accept, got.header)
		}
		text := got.body
		if zipped {
			z, err := gzip.NewReader(strings.NewReader(text))
			must(t, err)
			plain, err := io.ReadAll(z)
			must(t, err)
			text = string(plain)
		}
		if !strings.Contains(text, "run.noted") {
			t.Errorf("%q: %.100q", accept, text)
		}
	}
	long := strings.Repeat("x", 2000)
	for at, body := range map[string]any{
		"/api/v1/webhooks":     map[string]any{"url": "https://example.com/" + long[:1500], "description": long[:400]},
		"/api/v1/auth/sign-in": map[string]string{"email": "developer@example.com", "password": townPassword},
	} {
		if got := w.call(admin, "POST", at, body, nil, with("Accept-Encoding", "gzip")); got.status >= 300 || got.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: %d %v", at, got.status, got.header)
		}
	}
	// Nothing is taken in compressed: a bomb does not go off.
	got := w.call(admin, "POST", "/api/v1/budgets", map[string]any{"limit_usd": 1}, nil, with("Content-Encoding", "gzip"))
	got.want(415, "bad_media_type")
}

// Requests may say which version they are written for; what is old says so.
func TestVersions(t *testing.T) {
	t.Parallel()
	w := newTown(t)
	admin := w.tokens["admin"]
	for version, want := range map[string]int{"": 200, "1": 200, "1.0": 200, "1.9": 400, "2": 400, "0": 400, "1.x": 400, "v1": 400, "1.": 400, "1.0.0": 400} {
		got := w.call(admin, "GET", "/api/v1/me", nil, nil, with("X-Api-Version", version))
		if got.status != want || got.header.Get("X-Api-Version") != api.Version || want == 400 && got.code != "unknown_version" {
			t.Errorf("%q: %d %s", version, got.status, got.code)
		}
	}
	got := w.do(admin, "GET", "/api/v1/consumers/webhook:x/dead", nil, nil)
	if got.header.Get("Deprecation") != "@1795824000" || got.header.Get("Sunset") != "Tue, 01 Jun 2027 00:00:00 GMT" ||
		!strings.Contains(got.header.Get("Link"), `</api/v1/consumers/webhook:x/dead-letters>; rel="successor-version"`) {
		t.Errorf("what is deprecated says %v", got.header)
	}
	if got := w.do(admin, "GET", "/api/v1/consumers/x/dead-letters", nil, nil); got.header.Get("Deprecation") != "" {
		t.Errorf("what is not: %v", got.header)
	}
}
