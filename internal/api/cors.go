package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"mgx"
)

// Pages of other origins may use the server only where its operator named their
// origin, exactly. They prove who asks by a token, as programs do: a browser's
// cookie is never theirs to use, so that Access-Control-Allow-Credentials is not
// said (https://fetch.spec.whatwg.org/#cors-protocol).

// Of what a page may send and read.
const (
	corsMethods = "GET, POST, PUT, PATCH, DELETE"
	corsHeaders = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Mgx-Workspace, Traceparent, X-API-Version"
	corsExposed = "Deprecation, ETag, Idempotency-Replayed, Link, Location, Mgx-Resume, RateLimit, RateLimit-Policy, Retry-After, Sunset, Traceparent, X-API-Version, X-Request-Id"
	corsMinutes = "600" // seconds that a browser remembers it
)

// Origin reads an origin as browsers send it: a scheme, a host and, where it is not
// the scheme's own, a port.
func Origin(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || strings.Contains(u.Host, "*") || u.Scheme+"://"+strings.ToLower(u.Host) != strings.ToLower(text) {
		return "", mgx.Errorf(mgx.KindUsage, "bad_origin", "an origin is a scheme and a host, such as https://app.example.com, and names no others: not %q", clip(text))
	}
	return strings.ToLower(text), nil
}

// cors lets pages of the origins that were named read an answer. It reports whether
// the request was but the question whether they may.
func (s *Server) cors(w http.ResponseWriter, r *http.Request, origin string) (asked bool) {
	h := w.Header()
	h.Add("Vary", "Origin")
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMinutes)
	w.WriteHeader(http.StatusNoContent)
	return true
}

func (s *Server) mayUse(origin string) bool { return slices.Contains(s.o.Origins, origin) }
