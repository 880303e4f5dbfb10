package web_test

import (
	"net"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"

	"mgx"
)

// wire is what browsers reach a server through, and can be cut: connections that
// there are end at once, and new ones do not come about until it is mended.
type wire struct {
	net.Listener
	mu  sync.Mutex
	cut bool
	all map[net.Conn]bool
}

func (w *wire) Accept() (net.Conn, error) {
	for {
		c, err := w.Listener.Accept()
		if err != nil {
			return nil, err
		}
		w.mu.Lock()
		if w.cut {
			c.Close()
		} else {
			if w.all == nil {
				w.all = map[net.Conn]bool{}
			}
			w.all[c] = true
		}
		cut := w.cut
		w.mu.Unlock()
		if !cut {
			return c, nil
		}
	}
}

// Cut ends all connections and lets none come about; Mend has them come about again.
func (w *wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
	for c := range w.all {
		c.Close()
	}
	w.all = nil
}

func (w *wire) Mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = false
}

// TestLostConnection loses the connection while somebody writes: they are told, and
// when it is back nothing is missing, nothing is there twice and the words are as
// they were, also after a reload.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.working()
	b := s.tab().open(r.path()).live()
	b.do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), "Please also"))
	for range 2 {
		s.wire.Cut()
		b.until(`document.querySelector("mgx-stream").hidden === false && document.querySelector("mgx-stream").textContent.includes("nothing is missed")`)
		r.did(notes("told meanwhile", 3)...)
		b.do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), " test"))
		s.wire.Mend()
		b.live().until(`document.querySelector("mgx-stream").hidden`)
	}
	b.until(`document.querySelectorAll("mgx-timeline .item.is-said").length === 7`)
	b.ordered("after the connection was back")
	written := `document.querySelector(".decision textarea").value`
	if got := eval[string](b, written+` + document.activeElement.tagName`); got != "Please also test testTEXTAREA" {
		t.Errorf("what was written has become %q", got)
	}
	shown := `[...document.querySelectorAll("mgx-timeline .item:not(.pieces)")].map((e) => e.id + e.className).join()`
	live := eval[string](b, shown)
	b.open(r.path())
	if again := eval[string](b, shown); again != live {
		t.Errorf("live it was %s\nand then %s", live, again)
	}
	b.until(written + ` === "Please also test test"`)
}

// TestDrafts keeps what somebody has begun to write: through a reload, a refusal and
// an answer that something is wrong, and no longer than until it is taken.
func TestDrafts(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.project("greeter")
	s.project("another")
	r := s.working()
	b := s.tab()
	reload := func(until string) {
		t.Helper()
		b.open("/storybook")
		b.open(eval[string](b, `sessionStorage.getItem("at")`)).until(until)
	}
	at := func(path string) *tab {
		t.Helper()
		b.open(path)
		eval[any](b, `sessionStorage.setItem("at", location.pathname)`)
		return b
	}
	fill := func(selector, text string) {
		t.Helper()
		eval[any](b, `(() => { for (let d = document.querySelector("`+selector+`").closest("details"); d; d = d.parentElement.closest("details")) d.open = true })()`)
		b.do(chromedp.SendKeys(chromedp.CSS(selector), text))
	}

	at("/tasks/new").until(`document.activeElement.id === "words"`)
	fill("#words", "Say hello")
	fill("#budget", "lots")
	eval[any](b, `(() => { const p = document.querySelector("#project"); p.selectedIndex = 2; p.dispatchEvent(new Event("input", {bubbles: true})); document.querySelector("#plan").click() })()`)
	filled := `document.querySelector("#words").value === "Say hello" && document.querySelector("#project").selectedIndex === 2 && document.querySelector("#plan").checked && document.querySelector("#budget").value`
	reload(filled + ` === "lots" && document.querySelector(".ask-more").open`)
	b.click(`button[value="start"]`).until(`document.querySelector("#wrong") !== null && ` + filled + ` === "lots"`)
	reload(filled + ` === "lots"`)
	eval[any](b, `(() => { const f = document.querySelector("#budget"); f.value = "2"; f.dispatchEvent(new Event("input", {bubbles: true})) })()`)
	reload(filled + ` === "2"`)
	b.click(`button[value="start"]`).until(`location.pathname.startsWith("/runs/run_")`)
	reload(`document.querySelector("#words").value === ""`)

	// What is said to a run is another draft than what is said on its plan; a refusal
	// gives it back.
	at(r.path())
	fill("#say-words", "Mind the tests.")
	fill(".decision textarea", "Not so.")
	reload(`document.querySelector("#say-words").value === "Mind the tests." && document.querySelector(".decision textarea").value === "Not so."`)
	eval[any](b, `document.querySelector(".decision input[name=hash]").value = "sha256:other"`)
	b.click(`.decision button[value="reject"]`).until(`document.querySelector(".trouble") !== null`)
	reload(`document.querySelector(".decision textarea").value === "Not so."`)
	r.did(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "decision/plan", By: "user_local", Hash: planHash, Approved: true}, mgx.WorkflowResumed, mgx.ResumedData{Reason: "signal"})
	b.live().until(`document.querySelector(".decision") === null`)
	reload(`document.querySelector("#say-words").value === "Mind the tests."`)
	// Who signs out leaves none behind.
	b.open("/tasks/new")
	fill("#words", "A secret plan")
	eval[any](b, `document.querySelector("form.signout").requestSubmit()`)
	b.until(`location.pathname === "/signedout"`)
	if n := eval[int](b, `sessionStorage.length`); n != 0 {
		t.Errorf("%d things are kept", n)
	}
}
