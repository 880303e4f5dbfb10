package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// ownersCookie has the owner set a password, and returns what the browser keeps.
func (s *served) ownersCookie() string {
	s.l.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.l.t.Fatal(err)
	}
	form := url.Values{"token": {s.setup}, "email": {"owner@example.com"}, "name": {"Owner"}, "password": {"four words of theirs"}}
	s.browse(&http.Client{Jar: jar}, "POST", "/invitation", form)
	at, err := url.Parse(s.url)
	if err != nil {
		s.l.t.Fatal(err)
	}
	for _, c := range jar.Cookies(at) {
		if c.Name == "mgx_session" {
			return c.Value
		}
	}
	s.l.t.Fatal("the owner is not signed in")
	return ""
}

// TestConsoleJourney watches a run of a scripted model in a real browser: it waits
// for a decision, the server goes away and comes back, the plan is approved, the
// work is watched to its end, its difference is seen, and it is forked at a moment
// that was replayed.
func TestConsoleJourney(t *testing.T) {
	t.Parallel()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed; scripts/need.sh installs it")
	}
	l := newLab(t, labScript)
	if _, errs, code := l.run("run", "Say hello", "--plan", "--approve", "ask"); code != 6 {
		t.Fatalf("exit %d\n%s", code, errs)
	}
	run := l.only(l.store())
	server := l.serve("127.0.0.1:0")
	cookie := server.ownersCookie()

	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(allocator)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	do := func(steps ...chromedp.Action[chromedp.Void]) {
		t.Helper()
		if err := chromedp.Do(ctx, steps...); err != nil {
			t.Fatal(err)
		}
	}
	until := func(expression string) {
		t.Helper()
		for {
			so, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("Boolean("+expression+")"))
			if so && err == nil {
				return
			}
			if ctx.Err() != nil {
				t.Fatalf("it did not become true that %s: %v", expression, err)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	says := func(words string) {
		t.Helper()
		until(fmt.Sprintf(`document.querySelector("main")?.textContent.includes(%q)`, words))
	}
	live := `document.querySelector("mgx-stream")?.dataset.state === "live"`
	do()
	_, err = chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	if err == nil {
		_, err = chromedp.Call(ctx, network.SetCookie, network.SetCookieParams{Name: "mgx_session", Value: cookie, URL: server.url})
	}
	if err != nil {
		t.Fatal(err)
	}

	page := server.url + "/runs/" + string(run.ID)
	do(chromedp.Navigate(page))
	says("greet.sh says hello")
	until(live)
	server.end()
	until(`document.querySelector("mgx-stream").hidden === false && document.querySelector("mgx-stream").textContent.includes("nothing is missed")`)
	do(chromedp.SendKeys(chromedp.CSS(".decision textarea"), "Go on."))
	l.serve(server.listen)
	until(live + ` && document.querySelector("mgx-stream").hidden`)
	if words, err := chromedp.Run(ctx, chromedp.Value(chromedp.CSS(".decision textarea"))); err != nil || words != "Go on." {
		t.Errorf("what was written has become %q: %v", words, err)
	}
	do(chromedp.Click(chromedp.CSS(`button[value="approve"]`)))
	until(`document.querySelector(".decision") === null && document.querySelector(".run-head .status.done") !== null`)
	says("Delivered")
	says("Go on.")

	do(chromedp.Navigate(page + "/diff"))
	until(`document.querySelector(".changed .new")?.textContent.includes("echo hello")`)
	do(chromedp.Navigate(page + "?at=20"))
	says("Fork from event 20")
	do(chromedp.Click(chromedp.CSS(`form[action$="/fork"] button`)))
	until(`location.pathname.startsWith("/runs/run_") && !location.pathname.endsWith(` + fmt.Sprintf("%q", string(run.ID)) + `)`)
	says("fork of another run at 20")
	if out := l.must("runs", "--json"); strings.Count(out, `"fork_of"`) != 1 {
		t.Errorf("the runs are %s", out)
	}

	// Another task, by the form, with a file that it keeps when it comes back: it is taken
	// up and done.
	l.must("project", "add", ".")
	do(chromedp.Navigate(server.url+"/tasks/new"), chromedp.SendKeys(chromedp.CSS("#words"), "Say hello again"))
	until(`document.querySelector("#project").value !== ""`)
	do(chromedp.SetUploadFiles(chromedp.CSS("#attach"), []string{l.file("failing.log", "it fails"), l.file("not wanted.txt", "x")}))
	until(`[...document.querySelectorAll(".attached .name")].map((n) => n.textContent).sort().join() === "failing.log,not wanted.txt"`)
	until(`document.querySelector("#budget").value = "lots"`)
	do(chromedp.Click(chromedp.CSS(`button[aria-label="Remove not wanted.txt"]`)), chromedp.Click(chromedp.CSS(`button[value="start"]`)))
	until(`document.querySelector("#wrong") !== null && document.querySelector(".attached").textContent === "failing.log"`)
	until(`document.querySelector("#budget").value = "5"`)
	do(chromedp.Click(chromedp.CSS(`button[value="start"]`)))
	until(`location.pathname.startsWith("/runs/run_") && document.querySelector(".run-head .status.done") !== null`)
	says("Say hello again")
	says("Delivered")
	if given := l.latest().Settings.Attachments; len(given) != 1 || given[0].Name != "failing" || given[0].Size != 8 {
		t.Errorf("the run was given %+v", given)
	}
}
