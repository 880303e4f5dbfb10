package web_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/web"
)

func owner(*http.Request) (access.Actor, error) {
	return access.Actor{User: mgx.LocalUser, Workspace: mgx.DefaultWorkspace, Owner: true}, nil
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", "http://localhost"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestStorybookDraws(t *testing.T) {
	t.Parallel()
	h := web.New(web.Options{Who: owner, Sample: true})
	w := get(t, h, "/storybook")
	if w.Code != 200 || !strings.Contains(w.Body.String(), "</html>") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
}
