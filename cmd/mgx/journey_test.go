package main

import (
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// keyboard is somebody at a real browser who has a keyboard alone.
type keyboard struct {
	t   *testing.T
	ctx context.Context
	url string
}

func newKeyboard(t *testing.T, url string) *keyboard {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed; scripts/need.sh installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(cancel)
	k := &keyboard{t, ctx, url}
	k.do()
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *keyboard) do(steps ...chromedp.Action[chromedp.Void]) {
	k.t.Helper()
	if err := chromedp.Do(k.ctx, steps...); err != nil {
		k.t.Fatal(err)
	}
}

// until waits for an expression to be true, whichever pages come and go meanwhile.
func (k *keyboard) until(expression string) *keyboard {
	k.t.Helper()
	for {
		so, err := chromedp.Run(k.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
		if so && err == nil {
			return k
		}
		if k.ctx.Err() != nil {
			k.t.Fatalf("it did not become true that %s: %v", expression, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (k *keyboard) says(words string) *keyboard {
	k.t.Helper()
	return k.until(fmt.Sprintf(`document.querySelector("main")?.textContent.includes(%q)`, words))
}

// is whether an expression is true now.
func (k *keyboard) is(expression string) bool {
	k.t.Helper()
	so, err := chromedp.Run(k.ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
	if err != nil {
		k.t.Fatal(err)
	}
	return so
}

// at waits until the page at a path listens to keys.
func (k *keyboard) at(path string) *keyboard {
	k.t.Helper()
	return k.until(fmt.Sprintf(`location.pathname.startsWith(%q) && document.querySelector("[data-open=help]")?.hidden === false`, path))
}

func (k *keyboard) press(keys string) *keyboard {
	k.t.Helper()
	k.do(chromedp.KeyEvent(keys))
	return k
}

// tab goes on to an element with the tabulator, and sees that it is seen where the
// focus is, each time.
func (k *keyboard) tab(selector string) *keyboard {
	k.t.Helper()
	for range 120 {
		if k.is(fmt.Sprintf(`document.activeElement?.matches(%q)`, selector)) {
			return k
		}
		k.press(kb.Tab)
		if k.is(`document.activeElement !== document.body && document.activeElement.matches(":focus-visible") && !document.activeElement.matches("mgx-timeline, main") && getComputedStyle(document.activeElement).outlineStyle === "none" && getComputedStyle(document.activeElement).boxShadow === "none"`) {
			k.t.Errorf("on the way to %s it is not seen where the focus is", selector)
		}
	}
	k.t.Fatalf("there is no way to %s with the tabulator", selector)
	return k
}

// TestJourneyByKeyboard goes through everything with the keyboard alone: the first
// start, a task from its form, its plan rejected with words; another one cancelled;
// another one approved, watched to its end, its difference seen, replayed and forked;
// and out and in again with the password.
func TestJourneyByKeyboard(t *testing.T) {
	t.Parallel()
	l := newLab(t, labScript)
	server := l.serve("127.0.0.1:0")
	l.must("project", "add", ".")
	k := newKeyboard(t, server.url)

	k.do(chromedp.Navigate(server.url + "/invitation#" + server.setup))
	k.until(`location.hash === "" && document.querySelector("#token").value !== ""`)
	k.tab("#email").press("owner@example.com").tab("#name").press("Owner").tab("#password").press("four words of theirs").press(kb.Enter)
	k.at("/home").says("Nothing was asked for yet")

	k.ask("Say hello, but not so")
	k.press("a").until(`document.activeElement.value === "approve"`)
	for !k.is(`document.activeElement.tagName === "TEXTAREA"`) {
		k.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(8)))
	}
	k.press("Say it to all").tab(`button[value="reject"]`)
	k.press(kb.Enter).until(`document.querySelector(".run-head .status.refused") !== null`).says("Say it to all")

	k.ask("Say hello, or rather not")
	k.press(".").until(`document.activeElement.matches("#cancel summary, #pause summary")`).tab("#cancel summary").press(kb.Enter)
	k.tab("#cancel-why").press("changed my mind").press(kb.Enter)
	k.until(`document.querySelector(".run-head .status.cancelled") !== null`).says("changed my mind")

	k.ask("Say hello")
	k.press("a").until(`document.activeElement.value === "approve"`).press(kb.Enter)
	k.until(`document.querySelector(".decision") === null && document.querySelector(".run-head .status.done") !== null`).says("Delivered")
	k.at("/runs/").tab(`#tabs a[href$="/diff"]`).press(kb.Enter)
	k.until(`location.pathname.endsWith("/diff") && document.querySelector(".changed .new")?.textContent.includes("echo hello")`)
	k.at("/runs/").press("g").press("t").at("/tasks").press("j").until(`document.activeElement.classList.contains("rows-title")`).press(kb.Enter)
	k.at("/runs/").tab("#at").press(kb.Home)
	k.until(`new URLSearchParams(location.search).get("at") === "1"`).until(`document.body.textContent.includes("as it was after event 1 of")`)
	k.at("/runs/").tab(`form[action$="/fork"] button`).press(kb.Enter)
	k.until(`location.search === ""`).says("fork of another run at 1")

	k.at("/runs/").tab("form.signout button").press(kb.Enter)
	k.until(`location.pathname === "/signedout"`).tab(`a[href="/signin"]`).press(kb.Enter)
	k.until(`location.pathname === "/signin"`).tab("#email").press("owner@example.com").tab("#password").press("four words of theirs").press(kb.Enter)
	k.at("/home").says("Recent results").says("Say hello, or rather not")
}

// ask asks for something with the form, with a plan, and waits for the run to ask back.
func (k *keyboard) ask(words string) {
	k.t.Helper()
	k.press("g").press("t").at("/tasks").press("c").at("/tasks/new").until(`document.activeElement.id === "words"`)
	k.press(words).tab(".ask-more summary").press(kb.Enter).tab("#approve").press(kb.ArrowDown).tab("#plan").press(" ").tab(`button[value="start"]`).press(kb.Enter)
	k.at("/runs/").says(words).until(`document.querySelector(".decision") !== null && document.querySelector("mgx-stream").dataset.state === "live"`)
}
