package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"mgx"
	"mgx/internal/app"
)

// stranger is a page of a browser in which nobody has signed in.
func (s *stage) stranger() *tab {
	s.t.Helper()
	b := s.tab()
	call(b, network.ClearBrowserCookies, cdp.Empty{})
	return b
}

// fill types into a field.
func (b *tab) fill(selector, text string) *tab {
	b.t.Helper()
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
	return b
}

// at waits for a path.
func (b *tab) at(path string) *tab {
	b.t.Helper()
	return b.until(fmt.Sprintf("location.pathname === %q && document.readyState === 'complete'", path))
}

// posts sends a form by hand, as somebody may who knows the address, and says what
// came of it.
func (b *tab) posts(path string, form url.Values) (status int, says string) {
	b.t.Helper()
	eval[bool](b, fmt.Sprintf(`(globalThis.came = undefined, fetch(%q, {method: "POST", headers: {"Content-Type": "application/x-www-form-urlencoded"}, body: %q}).then(async (r) => { globalThis.came = [r.status, (await r.text())] }), true)`, path, form.Encode()))
	b.until("globalThis.came")
	return eval[int](b, "globalThis.came[0]"), words(eval[string](b, "globalThis.came[1]"))
}

// TestInviteJourney has the owner invite two people by the console. Each gets in by
// the link alone, sees what their role lets them see, and is told in words what it does
// not: of decisions, of the settings, of secrets.
func TestInviteJourney(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	ada := hostile[0] + " Ada"
	owner := s.tab().open("/settings/members")
	invite := func(address, role string) string {
		t.Helper()
		owner.open("/settings/members").fill("#invite-email", address)
		eval[any](owner, fmt.Sprintf(`document.querySelector("#invite-role").value = %q`, role))
		owner.click(`form[action="/settings/members/invite"] button`).until(`document.querySelector("#once-value")`).says("An invitation for " + address)
		return eval[string](owner, `document.querySelector("#once-value").textContent`)
	}
	accept := func(link, name string) *tab {
		t.Helper()
		b := s.stranger().open(strings.TrimPrefix(link, s.url))
		b.until(`document.querySelector("#token").value.startsWith("mgxi_")`)
		b.fill("#name", name).fill("#password", ownersPassword)
		return b
	}
	links := map[string]string{mgx.RoleViewer: invite("viewer@example.com", mgx.RoleViewer), mgx.RoleDeveloper: invite("dev@example.com", mgx.RoleDeveloper)}
	owner.open("/settings/members").says("viewer@example.com").says("dev@example.com")
	if shown := eval[string](owner, "document.body.innerHTML"); strings.Contains(shown, "mgxi_") {
		t.Error("the link is there once more")
	}

	viewer := accept(links[mgx.RoleViewer], ada)
	viewer.fill("#email", "viewer@example.com").click(`form[action="/invitation"] button`).at("/home")
	viewer.open("/settings/members").says(ada)
	if offered := eval[int](viewer, `document.querySelectorAll(".sheet form, .sheet .acts").length`); offered != 0 {
		t.Errorf("a viewer is offered %d things to do with members", offered)
	}
	viewer.open(r.path()).says("Your role lets you see this")
	if offered := eval[int](viewer, `document.querySelectorAll("main form[action*='/decide'], main form[action*='/cancel'], main form[action*='/say']").length`); offered != 0 {
		t.Errorf("a viewer is offered %d things to do with a run", offered)
	}
	if status, says := viewer.posts(r.path()+"/decide", url.Values{"approval": {"decision/plan"}, "hash": {planHash}, "decision": {"approve"}}); status != http.StatusForbidden || !strings.Contains(says, "You may not approve runs here: your role is viewer") {
		t.Errorf("a viewer decided: %d %s", status, says)
	}
	for path, kind := range map[string]string{"/settings/members/invite": "users", "/settings/rename": "settings", "/settings/secrets": "secrets", "/settings/webhooks": "webhooks", "/settings/retention": "settings"} {
		if status, says := viewer.posts(path, url.Values{"name": {"x"}, "value": {"x"}, "role": {"viewer"}}); status != http.StatusForbidden || !strings.Contains(says, "You may not") || !strings.Contains(says, kind+" here: your role is viewer") {
			t.Errorf("a viewer did %s: %d %s", path, status, says)
		}
	}
	for _, place := range []string{"/settings/secrets", "/settings/webhooks", "/settings/data", "/audit"} {
		viewer.open(place).says("Not allowed").says("your role is viewer")
	}
	viewer.open("/tasks/new").says("viewer")
	if eval[int](viewer, `document.querySelectorAll("main textarea").length`) != 0 {
		t.Error("a viewer is offered to ask for something")
	}

	developer := accept(links[mgx.RoleDeveloper], "Dev")
	developer.fill("#email", "dev@example.com").click(`form[action="/invitation"] button`).at("/home")
	developer.open("/settings/webhooks").says("Events are sent nowhere")
	if offered := eval[int](developer, `document.querySelectorAll(".sheet form").length`); offered != 0 {
		t.Error("a developer is offered to add an endpoint")
	}
	developer.open("/settings/secrets").says("Not allowed").says("You may not read secrets here: your role is developer.")
	if status, says := developer.posts("/settings/members/invite", url.Values{"role": {"admin"}}); status != http.StatusForbidden || !strings.Contains(says, "You may not manage users here: your role is developer") {
		t.Errorf("a developer invited somebody: %d %s", status, says)
	}
	// But the decision is theirs.
	developer.open(r.path()).click(`button[value="approve"]`)
	developer.comes(func() bool {
		sent, err := s.store.Signals(t.Context(), r.Execution, "decision/plan")
		must(t, err)
		return len(sent) == 1
	})

	// The owner makes the viewer a developer, then takes them out. A link that was used
	// lets nobody else in.
	user, err := s.store.UserByEmail(t.Context(), "viewer@example.com")
	must(t, err)
	row := "#" + string(user.ID)
	owner.open("/settings/members").says(ada).click(row + " .sure:nth-of-type(1) summary")
	eval[any](owner, fmt.Sprintf(`document.querySelector(%q).value = "developer"`, row+" select"))
	owner.click(row + " form[action$='/role'] button").says("The role is changed")
	viewer.open("/tasks/new").until(`document.querySelector("main h1")`)
	if says := viewer.words(); strings.Contains(says, "your role is viewer") {
		t.Errorf("the new role does not hold: %s", says)
	}
	owner.click(row + " .sure:has(form[action$='/remove']) summary").says("is out of this workspace at once").click(row + " form[action$='/remove'] button").says("They are out of the workspace")
	viewer.open("/tasks").until(`!document.querySelector("main").textContent.includes("healthz")`)
	late := accept(links[mgx.RoleViewer], "Late")
	late.fill("#email", "viewer@example.com").click(`form[action="/invitation"] button`).says("This invitation is not good, or no longer")
}

// TestSettingsOfHostileNames has names everywhere in the settings that would do
// something if a page took them for its own.
func TestSettingsOfHostileNames(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	long := strings.Repeat("a-name-without-an-end", 4)
	paths := s.settled()
	for i, w := range hostile[:17] {
		if len(w) > 100 {
			continue
		}
		_, _, err := s.access.CreateKey(t.Context(), boss, app.NewAPIKey{Name: w, Scopes: []string{"models"}})
		must(t, err)
		if i < 3 {
			_, err := s.access.CreateWorkspace(t.Context(), boss, w)
			must(t, err)
		}
	}
	_, err := s.access.RenameWorkspace(t.Context(), boss, hostile[0]+long[:60])
	must(t, err)
	s.mustGo("POST", "/settings/secrets", url.Values{"name": {long}, "value": {"x"}})
	_, err = s.access.PutRole(t.Context(), boss, mgx.Role{Name: "r" + strings.Repeat("o", 48), Description: strings.Join(hostile[:6], " "), Policy: exampleRole})
	must(t, err)
	b := s.tab()
	b.do(chromedp.EmulateViewport(360, 780))
	for name, path := range paths {
		b.open(path)
		eval[any](b, `for (const d of document.querySelectorAll("details")) d.open = true`)
		if got := eval[string](b, `String(window.pwned) + [...document.querySelectorAll("main script, main iframe, main style, main link, main base, main meta, main img, main math, main form[action*=':1'], main [onerror], main [onload], main [onfocus], main [onclick], main a[href^='javascript'], main a[href*=':1/']")].map((e) => e.outerHTML)`); got != "undefined" {
			t.Errorf("%s took words for its own: %s", name, got)
		}
		if turned := eval[bool](b, `/[\u202a-\u202e\u2066-\u2069]/.test(document.querySelector("main").innerText + [...document.querySelectorAll("main [title], main [aria-label]")].map((e) => e.title + e.ariaLabel))`); turned {
			t.Errorf("%s has words that turn those around them", name)
		}
		if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > 360 {
			t.Errorf("%s is %d wide on a screen of 360 with all unfolded", name, wide)
		}
	}
}
