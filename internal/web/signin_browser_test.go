package web_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"mgx/internal/access"
)

// Somebody who was invited sets a password in a real browser, uses the API and the
// stream from a page, signs out and in again.
func TestBrowserSignsIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, false)
	setup, err := h.access.Found(t.Context(), access.Where{})
	must(t, err)
	b := h.window()
	b.do(chromedp.Navigate(h.url + "/invitation#" + setup))
	b.until(fmt.Sprintf(`document.querySelector("#token")?.value === %q && location.hash === ""`, setup))
	b.fill("email", ownersAddress).fill("name", "Owner").fill("password", ownersPassword).submit("/invitation")
	b.isIn(h, ownersAddress+" admin")
	if kept := eval[string](b.tab, "document.cookie"); kept != "" {
		t.Errorf("a script can read %q", kept)
	}
	b.later(`new Promise((done) => { const s = new EventSource("/api/v1/events/stream"); s.onopen = () => { s.close(); done("open"); }; s.onerror = () => done("refused"); })`, "open")
	b.submit("/signout").until(`location.pathname === "/signedout"`)
	b.later(me, "")
	b.click(`a[href="/signin"]`).until(`location.pathname === "/signin"`)
	b.fill("email", ownersAddress).fill("password", "not the password").submit("/signin").says("The address or the password is wrong.")
	b.fill("password", ownersPassword).submit("/signin")
	b.isIn(h, ownersAddress+" admin")
}

// Somebody signs in at a real OpenID provider, in a real browser, loses a role with
// the group, and is out here when they sign out there.
func TestBrowserSignsInThere(t *testing.T) {
	t.Parallel()
	there := startProvider(t)
	h := build(t, blueprint{corp: there.issuer})
	h.moveIn()
	there.begin(h, nil, map[string]any{"jo": person("builders")})
	b := h.window()
	b.open("/signin?next=/runs").click(`a[href^="/signin/with/corp"]`)
	b.signInAt(there).isIn(h, "jo@example.com developer")
	if path := eval[string](b.tab, "location.pathname"); path != "/runs" {
		t.Errorf("the browser is at %s", path)
	}
	b.submit("/signout").says("Sign out of Corp, too")
	there.people(map[string]any{"jo": person("nobodies")})
	b.open("/signin").click(`a[href^="/signin/with/corp"]`) // still signed in there
	b.isIn(h, "jo@example.com")

	b.do(chromedp.Navigate(there.issuer + "/session/end?client_id=mgx"))
	b.until(`document.querySelector("button[name=logout]") !== null`).click("button[name=logout]")
	jo, err := h.store.UserByEmail(t.Context(), "jo@example.com")
	must(t, err)
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		all, err := h.store.Sessions(t.Context(), jo.ID)
		must(t, err)
		if len(all) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("signed out there, and still here: %+v", all)
		}
	}
	b.open("/signin").until(`document.querySelector("#password") !== null`)
}

func person(groups ...string) map[string]any {
	return map[string]any{"email": "jo@example.com", "email_verified": true, "name": "Jo", "groups": groups}
}

// window is a page of a real browser with cookies of its own.
type window struct{ *tab }

func (h *house) window() window {
	h.t.Helper()
	browser, err := chrome()
	if errors.Is(err, exec.ErrNotFound) {
		h.t.Skip("chromium is not installed; scripts/need.sh installs it")
	}
	must(h.t, err)
	ctx, stop := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	h.t.Cleanup(stop)
	ctx, cancel := context.WithTimeout(ctx, patience)
	h.t.Cleanup(cancel)
	return window{&tab{t: h.t, s: &stage{t: h.t, url: h.url}, ctx: ctx}}
}

func (b window) open(path string) window {
	b.t.Helper()
	b.tab.open(path)
	return b
}

func (b window) click(selector string) window {
	b.t.Helper()
	b.until(fmt.Sprintf("document.querySelector(%q) !== null", selector))
	b.tab.click(selector)
	return b
}

func (b window) until(expression string) window {
	b.t.Helper()
	for {
		// Of a page that is just going nothing can be found out.
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		switch {
		case err == nil && is:
			return b
		case b.ctx.Err() != nil:
			b.t.Fatalf("it did not become true that %s: %v", expression, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (b window) says(words string) window {
	b.t.Helper()
	return b.until(fmt.Sprintf("document.body?.innerText.includes(%q) ?? false", words))
}

// fill types into a field by its id.
func (b window) fill(id, text string) window {
	b.t.Helper()
	b.until(fmt.Sprintf(`document.getElementById(%q) !== null`, id))
	eval[string](b.tab, fmt.Sprintf(`document.getElementById(%q).value = %q`, id, text))
	return b
}

// submit sends the form that goes to a path.
func (b window) submit(path string) window {
	b.t.Helper()
	return b.click(fmt.Sprintf(`form[action="%s"] button`, path))
}

// me asks the API who the browser is.
const me = `fetch("/api/v1/me").then((r) => r.ok ? r.json() : {}).then((m) => m.user ? [m.user.email, m.role].filter(Boolean).join(" ") : "")`

// isIn waits for a page of somebody who is signed in, and asks the API who.
func (b window) isIn(h *house, who string) {
	b.t.Helper()
	b.until(fmt.Sprintf(`location.origin === %q && document.querySelector("form.signout") !== null`, h.url))
	b.later(me, who)
}

// later waits for what a promise comes to, which is made anew on a page that comes meanwhile.
func (b window) later(promise, want string) {
	b.t.Helper()
	eval[bool](b.tab, `globalThis.asked = undefined, globalThis.came = undefined, true`)
	b.until(fmt.Sprintf(`(globalThis.asked ??= Promise.resolve(%s).then((v) => { globalThis.came = v; })) && globalThis.came !== undefined`, promise))
	if got := eval[string](b.tab, "globalThis.came"); got != want {
		b.t.Errorf("it came to %q, want %q", got, want)
	}
}

// signInAt signs in at the provider and agrees.
func (b window) signInAt(p *there) window {
	b.t.Helper()
	b.until(fmt.Sprintf(`location.origin === %q && document.querySelector("input[name=login]") !== null`, p.issuer))
	eval[string](b.tab, `document.querySelector("input[name=login]").value = "jo"`)
	eval[string](b.tab, `document.querySelector("input[name=password]").value = "any"`)
	b.click("button[type=submit]")
	b.until(`document.querySelector("input[name=prompt][value=consent]") !== null`)
	return b.click("button[type=submit]")
}
