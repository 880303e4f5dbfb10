package web_test

import (
	"net/http"
	"net/url"
	"testing"

	"mgx"
	"mgx/internal/team"
)

// TestSteer says something to a run, pauses it and has it go on, by the forms as
// they are; who may not, cannot.
func TestSteer(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.play("Say hello")
	form := url.Values{"words": {hostile[0] + " first"}, "key": {"say_1"}}
	sent := func(name string) int {
		all, err := s.store.Signals(t.Context(), r.Execution, name)
		must(t, err)
		return len(all)
	}
	has(t, s.ask("GET", r.path(), nil), "Say something to this run", `action="`+r.path()+`/pause"`)
	viewer := s.as(mgx.RoleViewer)
	hasNot(t, viewer.ask("GET", r.path(), nil), "Say something to this run", "/pause")
	for _, act := range []string{"say", "pause", "continue"} {
		if got := viewer.ask("POST", r.path()+"/"+act, form); got.StatusCode != http.StatusForbidden {
			t.Errorf("a viewer may %s: %d", act, got.StatusCode)
		}
	}
	post := func(act string, form url.Values) {
		if got := s.ask("POST", r.path()+"/"+act, form); got.StatusCode != http.StatusSeeOther || got.Header.Get("Location") != r.path() {
			t.Fatalf("%s: %d %s", act, got.StatusCode, words(got.body))
		}
	}
	post("say", form)
	post("say", form)
	if n := sent(team.MessageSignal); n != 1 {
		t.Errorf("said %d times", n)
	}
	if got := s.ask("POST", r.path()+"/say", url.Values{"words": {" "}}); got.StatusCode != http.StatusBadRequest {
		t.Errorf("nothing was said: %d", got.StatusCode)
	}
	post("pause", url.Values{"reason": {hostile[1]}})
	got := s.ask("GET", r.path(), nil)
	has(t, got, "said: &lt;script&gt;", "Paused by user_local: &lt;img src=x", `action="`+r.path()+`/continue"`)
	hasNot(t, got, "<script>window", "<img", `action="`+r.path()+`/pause"`)
	post("continue", nil)
	has(t, s.ask("GET", r.path(), nil), "Continued by user_local", `action="`+r.path()+`/pause"`)
	if sent(team.PauseSignal) != 1 || sent(team.ContinueSignal) != 1 {
		t.Error("it was not told")
	}
	r.did(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: "enough", By: "user_local"})
	hasNot(t, s.ask("GET", r.path(), nil), "Say something to this run", `/pause"`)
	if got := s.ask("POST", r.path()+"/say", form); got.StatusCode != http.StatusConflict {
		t.Errorf("an ended run hears: %d", got.StatusCode)
	}
}
