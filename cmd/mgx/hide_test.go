package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/guard"
)

// A page has the secrets of its workspace hidden and those of the installation, also in
// pieces; a page of nobody those of the installation.
func TestPagesHideWhatIsOfTheirWorkspace(t *testing.T) {
	t.Parallel()
	const own, ours, theirs = "installed-0001", "secret-of-us-33", "secret-of-them-44"
	n := &node{redact: guard.NewRedactors(own)}
	n.hideOf("ws_us", ours)
	n.hideOf("ws_them", theirs)
	pages := n.hidesIn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.showing(r.Context(), mgx.WorkspaceID(r.URL.Query().Get("workspace")))
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		for _, c := range own + " " + ours + " " + theirs {
			io.WriteString(w, string(c))
		}
	}))
	for ws, want := range map[string][]string{
		"":        {guard.Mask, ours, theirs},
		"ws_us":   {guard.Mask, guard.Mask, theirs},
		"ws_them": {guard.Mask, ours, guard.Mask},
	} {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequest("GET", "/?workspace="+ws, nil))
		if got := w.Body.String(); got != strings.Join(want, " ") {
			t.Errorf("%q shows %q", ws, got)
		}
	}
	for ws, want := range map[mgx.WorkspaceID]string{"": ours, "ws_us": guard.Mask, "ws_them": ours} {
		if got := n.hidesShown(ws, ours); got != want {
			t.Errorf("%q is answered %q", ws, got)
		}
	}
	if got := string(n.hidesStored("")([]byte(ours + theirs))); got != guard.Mask+guard.Mask {
		t.Errorf("what may be anybody's is stored as %q", got)
	}
}
