package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"mgx"
)

// ask makes a request as a browser does that has no script.
func (s *stage) ask(method, path string, form url.Values) seen {
	s.t.Helper()
	b := (&house{t: s.t, url: s.url}).browser()
	b.keep("mgx_session", s.cookie)
	return b.do(method, path, form)
}

// TestEveryPageDraws without a script, and says what is on it.
func TestEveryPageDraws(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for name, path := range s.pages() {
		got := s.ask("GET", path, nil)
		want := http.StatusOK
		if name == "missing" {
			want = http.StatusNotFound
		}
		if (name == "signin" || name == "invitation") && got.StatusCode == http.StatusSeeOther {
			continue
		}
		if got.StatusCode != want || !strings.Contains(got.body, "</html>") {
			t.Errorf("%s: %d %s", name, got.StatusCode, got.body)
		}
		if csp := got.Header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "require-trusted-types-for 'script'") {
			t.Errorf("%s: the policy is %s", name, csp)
		}
		if strings.Contains(got.body, " style=") || strings.Contains(got.body, "<style") || strings.Contains(got.body, " onclick=") {
			t.Errorf("%s has something inline", name)
		}
	}
}

// TestChecksThatDidNotRunAreNoPass has a round in which one could not run, and one whose
// event is from when that counted as passed: neither is shown as passed.
func TestChecksThatDidNotRunAreNoPass(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, passed := range []bool{true, false} {
		r := s.play("Say hello").did(mgx.RunChecksCompleted, mgx.ChecksData{Round: "1", Passed: passed, Checks: []mgx.CheckResult{{Name: "tox", Command: "tox", Status: "unavailable", ExitCode: 127}}})
		for _, path := range []string{r.path(), r.path() + "/checks"} {
			got := s.ask("GET", path, nil).body
			if strings.Count(got, `</svg>unavailable</span>`) != 2 || strings.Contains(got, `</svg>passed</span>`) {
				t.Errorf("%s: %s", path, words(got))
			}
		}
	}
}

// TestDecide sends the forms of a run as they are, without a script.
func TestDecide(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	for name, form := range map[string]url.Values{
		"another hash": {"approval": {"decision/plan"}, "hash": {"sha256:other"}, "decision": {"approve"}},
		"no hash":      {"approval": {"decision/plan"}, "decision": {"approve"}},
		"no decision":  {"approval": {"decision/plan"}, "hash": {planHash}},
		"no such":      {"approval": {"decision/other"}, "hash": {planHash}, "decision": {"approve"}},
	} {
		if got := s.ask("POST", r.path()+"/decide", form); got.StatusCode < 400 || got.StatusCode >= 500 || !strings.Contains(got.body, r.path()) {
			t.Errorf("%s: %d %s", name, got.StatusCode, words(got.body))
		}
	}
	sent := func() []mgx.Signal {
		all, err := s.store.Signals(t.Context(), r.Execution, "decision/plan")
		must(t, err)
		return all
	}
	if all := sent(); len(all) != 0 {
		t.Fatalf("sent %+v", all)
	}
	got := s.ask("POST", r.path()+"/decide", url.Values{"approval": {"decision/plan"}, "hash": {planHash}, "decision": {"reject"}, "reason": {"Not so."}})
	if got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != r.path() {
		t.Fatalf("%d %s", got.StatusCode, words(got.body))
	}
	if all := sent(); len(all) != 1 || !strings.Contains(string(all[0].Payload), "Not so.") {
		t.Fatalf("sent %+v", all)
	}
	if got := s.ask("POST", r.path()+"/cancel", url.Values{"reason": {"enough"}}); got.StatusCode != http.StatusSeeOther {
		t.Errorf("cancel: %d %s", got.StatusCode, words(got.body))
	}
	got = s.ask("POST", r.path()+"/fork", url.Values{"at": {"5"}})
	if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), "/runs/run_") {
		t.Fatalf("fork: %d %s", got.StatusCode, words(got.body))
	}
	if made := s.ask("GET", got.Header.Get("Location"), nil); !strings.Contains(made.body, "fork of another run at 5") {
		t.Errorf("the fork says %s", words(made.body))
	}
}

// TestStatic serves files for good, in the encoding that is asked for.
func TestStatic(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	page := s.ask("GET", "/tasks", nil)
	_, rest, _ := strings.Cut(page.body, `<script src="`)
	address, _, _ := strings.Cut(rest, `"`)
	for accept, want := range map[string]string{"br, gzip": "br", "gzip": "gzip", "br;q=0, gzip": "gzip", "identity": ""} {
		got := (&house{t: t, url: s.url}).browser().do("GET", address, nil, "Accept-Encoding", accept)
		if got.StatusCode != 200 || got.Header.Get("Content-Encoding") != want || !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || !strings.HasPrefix(got.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("accepting %s: %d %v", accept, got.StatusCode, got.Header)
		}
	}
	if got := s.ask("GET", strings.Replace(address, "app.", "app.0", 1), nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("another digest: %d", got.StatusCode)
	}
}

// Each page has at its foot the command that does the same.
func TestPagesHaveTheirCommand(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	without := []string{"signin", "signedout", "invitation", "invitations", "missing"} // nobody is in yet, or nothing is there
	for name, path := range s.everyPage() {
		if got := s.ask("GET", path, nil); got.StatusCode == http.StatusOK && !slices.Contains(without, name) && !strings.Contains(got.body, "On the command line") {
			t.Errorf("%s (%s) has none", name, path)
		}
	}
}
