package web_test

import (
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/webhook"
)

var formOf = regexp.MustCompile(`(?s)<form[^>]*>.*?</form>`)

// fills is what the form of a page that goes to a path is filled in with, as a browser
// would send it.
func (s *stage) fills(got seen, path string) url.Values {
	s.t.Helper()
	for _, form := range formOf.FindAllString(got.body, -1) {
		if strings.Contains(form, `action="`+path+`"`) {
			return url.Values{"seen": {regexp.MustCompile(`name="seen" value="([^"]*)"`).FindStringSubmatch(form)[1]}}
		}
	}
	s.t.Fatalf("no form of %s goes to %s", got.Request.URL, path)
	return nil
}

// TestTwoPeopleChange has two people open the same form and both send it: the second is
// told, nothing of the first is lost, and nothing of what the second typed. Sent once
// more it is what they want, having seen the other. In between nothing that was wrong
// with it makes them agree to what they have not seen.
func TestTwoPeopleChange(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	must(t, s.store.PutRole(t.Context(), boss.Doer(), mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "builder", Policy: exampleRole}))
	s.as("builder")
	u, err := s.store.UserByEmail(t.Context(), "builder@example.com")
	must(t, err)
	w, _, err := webhook.Endpoints{By: boss.Doer(), Store: s.store}.Add(t.Context(), webhook.NewEndpoint{URL: "https://example.com/hook"})
	must(t, err)
	s.mustGo("POST", "/settings/secrets", url.Values{"name": {"openai"}, "value": {"the first"}})
	for name, c := range map[string]struct {
		page, path string
		first      url.Values
		second     url.Values
		bad        url.Values // something is wrong with it
		hidden     bool       // what is typed there is never shown
	}{
		"workspace": {"/settings", "/settings/rename", url.Values{"name": {"Hers"}}, url.Values{"name": {"His"}}, url.Values{"name": {strings.Repeat("x", 500)}}, false},
		"role": {
			"/settings/roles", "/settings/roles/builder",
			url.Values{"description": {"Hers"}, "policy": {exampleRole}},
			url.Values{"description": {"His"}, "policy": {"permit (principal, action, resource is Runs);"}},
			url.Values{"policy": {"permit (His"}},
			false,
		},
		"webhook": {
			"/settings/webhooks/" + string(w.ID), "/settings/webhooks/" + string(w.ID),
			url.Values{"url": {"https://example.com/hook"}, "description": {"Hers"}},
			url.Values{"url": {"https://example.com/hook"}, "description": {"His"}, "types": {"run.*"}},
			url.Values{"url": {"His"}},
			false,
		},
		"member":    {"/settings/members", "/settings/members/" + string(u.ID) + "/role", url.Values{"role": {"viewer"}}, url.Values{"role": {"auditor"}}, url.Values{"role": {"emperor"}}, false},
		"retention": {"/settings/retention", "/settings/retention", url.Values{"agent": {"31"}}, url.Values{"agent": {"32"}}, url.Values{"agent": {"many"}}, false},
		"secret":    {"/settings/secrets", "/settings/secrets/openai", url.Values{"value": {"Hers"}}, url.Values{"value": {"His"}}, url.Values{"value": {""}}, true},
	} {
		drawn := s.must(http.StatusOK, s.ask("GET", c.page, nil))
		hers, his := s.fills(drawn, c.path), s.fills(drawn, c.path)
		fill := func(base, with url.Values) url.Values {
			all := url.Values{"seen": base["seen"]}
			maps.Copy(all, with)
			return all
		}
		s.mustGo("POST", c.path, fill(hers, c.first))
		is := s.ask("GET", c.page, nil)
		wrong := s.ask("POST", c.path, fill(his, c.bad))
		if wrong.StatusCode < 400 || wrong.StatusCode >= 500 {
			t.Errorf("%s: what is wrong is answered %d", name, wrong.StatusCode)
		}
		if again := s.fills(wrong, c.path); again.Get("seen") != his.Get("seen") && wrong.StatusCode != http.StatusConflict {
			t.Errorf("%s: after a mistake the form is one of what was not seen: %s, not %s", name, again, his)
		}
		refused := s.must(http.StatusConflict, s.ask("POST", c.path, fill(his, c.second)))
		s.says(refused, "Somebody else changed")
		if now := s.ask("GET", c.page, nil); s.fills(now, c.path).Get("seen") != s.fills(is, c.path).Get("seen") {
			t.Errorf("%s: what was refused has changed it", name)
		}
		for field, value := range c.second {
			typed := strings.Contains(refused.body, `value="`+value[0]+`"`) || strings.Contains(refused.body, ">\n"+value[0]+"</textarea>") || strings.Contains(refused.body, `<option value="`+value[0]+`" selected`)
			if typed == c.hidden {
				t.Errorf("%s: what was typed as %s is there: %v: %s", name, field, typed, refused.body)
			}
			if first := c.first[field]; !c.hidden && first != nil && first[0] != value[0] && !strings.Contains(html.UnescapeString(words(refused.body)), "There now: "+strings.Join(strings.Fields(first[0]), " ")) {
				t.Errorf("%s: what is %s now is not said: %s", name, field, words(refused.body))
			}
		}
		s.mustGo("POST", c.path, fill(s.fills(refused, c.path), c.second))
		for _, nonsense := range []string{"x", "-1", "999"} {
			s.must(http.StatusConflict, s.ask("POST", c.path, fill(url.Values{"seen": {nonsense}}, c.first)))
		}
	}
}

// TestRemovedMeanwhile has somebody fill in a form of what is removed while they do:
// it comes back as one that makes it anew, with what they typed.
func TestRemovedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	must(t, s.store.PutRole(t.Context(), boss.Doer(), mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "builder", Policy: exampleRole}))
	w, _, err := webhook.Endpoints{By: boss.Doer(), Store: s.store}.Add(t.Context(), webhook.NewEndpoint{URL: "https://example.com/hook"})
	must(t, err)
	s.mustGo("POST", "/settings/secrets", url.Values{"name": {"openai"}, "value": {"the first"}})
	hook := "/settings/webhooks/" + string(w.ID)
	for page, c := range map[string]struct {
		path  string
		typed url.Values
		keeps []string // of what the form that comes back has
	}{
		"/settings/roles":   {"/settings/roles/builder", url.Values{"description": {"Mine"}, "policy": {exampleRole + "// mine"}}, []string{`value="builder"`, `value="Mine"`, "// mine"}},
		hook:                {hook, url.Values{"url": {"https://example.com/mine"}, "types": {"run.*"}}, []string{`value="https://example.com/mine"`, `value="run.*"`}},
		"/settings/secrets": {"/settings/secrets/openai", url.Values{"value": {"mine"}}, []string{`value="openai"`}},
	} {
		drawn := s.ask("GET", page, nil)
		form, remove := s.fills(drawn, c.path), s.fills(drawn, c.path+"/remove")
		maps.Copy(form, c.typed)
		s.must(http.StatusSeeOther, s.ask("POST", c.path+"/remove", remove))
		got := s.must(http.StatusConflict, s.ask("POST", c.path, form))
		s.says(got, "removed this")
		made := strings.TrimSuffix(c.path, c.path[strings.LastIndex(c.path, "/"):])
		if !strings.Contains(got.body, `action="`+made+`"`) {
			t.Errorf("%s comes back without a form that makes it anew", page)
		}
		for _, text := range c.keeps {
			if !strings.Contains(got.body, text) {
				t.Errorf("%s comes back without %s: %s", page, text, got.body)
			}
		}
		if strings.Contains(page, "secrets") && strings.Contains(got.body, "mine") {
			t.Error("the value of a secret is shown")
		}
	}
}

// TestRemovedAsSeen removes nothing that somebody else has just changed.
func TestRemovedAsSeen(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	put := func(about string) {
		must(t, s.store.PutRole(t.Context(), boss.Doer(), mgx.Role{Workspace: mgx.DefaultWorkspace, Name: "builder", Description: about, Policy: exampleRole}))
	}
	put("first")
	form := s.fills(s.ask("GET", "/settings/roles", nil), "/settings/roles/builder/remove")
	put("second")
	refused := s.must(http.StatusConflict, s.ask("POST", "/settings/roles/builder/remove", form))
	s.says(refused, "Somebody else changed this", "second")
	s.mustGo("POST", "/settings/roles/builder/remove", s.fills(refused, "/settings/roles/builder/remove"))
}

// TestTemplateChangedMeanwhile keeps no template over one that somebody else changed
// after its form was drawn.
func TestTemplateChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.project("shop")
	keep := func(words string) app.TaskTemplate {
		kept, err := s.options.Templates.Save(t.Context(), boss, app.TaskTemplate{Name: "nightly", Task: app.TemplateTask{Text: words}})
		must(t, err)
		return kept
	}
	id := string(keep("The first.").ID)
	drawn := s.must(http.StatusOK, s.ask("GET", "/tasks/new?template="+id, nil))
	form := s.fills(drawn, "/tasks/new")
	form["template"], form["do"], form["template_name"], form["words"] = []string{id}, []string{"template"}, []string{"nightly"}, []string{"Mine."}
	keep("The second.")
	refused := s.must(http.StatusConflict, s.ask("POST", "/tasks/new", form))
	if s.says(refused, "Somebody else changed this template"); !strings.Contains(refused.body, "Mine.</textarea>") || !strings.Contains(refused.body, `value="nightly"`) {
		t.Errorf("what was typed is gone: %s", words(refused.body))
	}
	form["seen"] = s.fills(refused, "/tasks/new")["seen"]
	s.must(http.StatusSeeOther, s.ask("POST", "/tasks/new", form))
	kept, err := s.options.Templates.Get(t.Context(), boss, app.TemplateID(id))
	if must(t, err); kept.Task.Text != "Mine." {
		t.Errorf("kept is %q", kept.Task.Text)
	}
}
