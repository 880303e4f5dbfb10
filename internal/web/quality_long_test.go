package web_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"mgx"
)

// Bounds of the page of a run, however long that is: bytes that the server sends
// at once, items and nodes that the page holds, and bytes of its memory.
const (
	mostPageBytes = 1 << 20
	mostItems     = 400 + 120 // with those that are too near to be let go of
	mostNodes     = 24_000
	mostHeap      = 48 << 20
)

// longRun plays a run of so many events and more: phases, models that talk, tools
// that print much and little, and what is told beside them.
func (s *stage) longRun(n int) *played {
	s.t.Helper()
	r := s.play("A long run")
	little, much := "ok\n", strings.Repeat("\x1b[32mok\x1b[0m  \tgreeter/internal/very/long/path\t0.01s\n", 1400)
	text := "I will look at **server.go** next.\n\n- one\n- two\n\n```go\nfunc main() {}\n```\n" + strings.Repeat("Then more of the same. ", 40)
	for i := 0; i < n; {
		var some []any
		for len(some) < 1000 {
			call := fmt.Sprint("c", i)
			output := little
			if i%400 == 0 {
				output = much
			}
			if i%5000 == 0 {
				some = append(some, mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseImplement, Note: fmt.Sprint("from ", i)})
			}
			some = append(some,
				mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "scripted", Model: "demo", AgentRole: "implementer", Usage: mgx.Usage{Prompt: 900, Completion: 40}, PriceKnown: true, DurationMS: 400},
				mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "implementer", Text: text},
				mgx.ToolCalled, mgx.ToolCallData{CallID: call, Name: "shell", Effect: "execute", Arguments: `{"command":"go test ./..."}`, Summary: fmt.Sprint("go test, at ", i), Verdict: "allow"},
				mgx.ToolReturned, mgx.ToolResultData{CallID: call, Name: "shell", Status: "success", DurationMS: 7, Output: output},
				mgx.RunNoted, mgx.NotedData{Level: "info", Text: fmt.Sprint("note ", i)},
			)
			i += 5
		}
		r.did(some...)
	}
	return r
}

func longEvents() int {
	if os.Getenv("MGX_SOAK") != "" {
		return 50_000
	}
	return 2500
}

// bounded fails when the page holds too much, or items twice or out of their order.
func (b *tab) bounded(when string) {
	b.t.Helper()
	call(b, heapprofiler.CollectGarbage, cdp.Empty{})
	got, err := chromedpCall(b, performance.GetMetrics, cdp.Empty{})
	must(b.t, err)
	now := map[string]float64{}
	for _, m := range got.Metrics {
		now[m.Name] = m.Value
	}
	items := eval[int](b, `document.querySelectorAll("mgx-timeline .item[data-seq]").length`)
	nodes := eval[int](b, `document.querySelectorAll("*").length`)
	if items > mostItems || nodes > mostNodes || now["JSHeapUsedSize"] > mostHeap {
		b.t.Errorf("%s: the page holds %d items in %d nodes, and %.0f KB", when, items, nodes, now["JSHeapUsedSize"]/1024)
	}
	b.t.Logf("%s: %d items, %d nodes (%.0f alive), %.1f MB of scripts", when, items, nodes, now["Nodes"], now["JSHeapUsedSize"]/(1<<20))
	b.ordered(when)
}

// ordered fails when the items of the timeline are not each there once, in order.
func (b *tab) ordered(when string) {
	b.t.Helper()
	if wrong := eval[string](b, `(() => { let last = 0; for (const e of document.querySelectorAll("mgx-timeline .item[data-seq]")) { const n = Number(e.dataset.seq); if (n < last || (n === last && !e.id.endsWith("b"))) return e.id + " after " + last; last = n } return "" })()`); wrong != "" {
		b.t.Errorf("%s: %s", when, wrong)
	}
}

const (
	firstItem = `document.querySelector("mgx-timeline .item[data-seq]").id`
	lastItem  = `[...document.querySelectorAll("mgx-timeline .item[data-seq]")].at(-1).id`
	pill      = `document.querySelector(".pill-new")`
	// seenItem is the first item in sight, with where it is.
	seenItem = `(() => { const e = [...document.querySelectorAll("mgx-timeline .item[data-seq]")].find((e) => e.getBoundingClientRect().bottom > 0); return e.id + " at " + Math.round(e.getBoundingClientRect().top / 4) })()`
)

// TestLongRun shows a bounded part of a run with very many events, whichever way
// its reader goes and however much happens meanwhile.
func TestLongRun(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	n := longEvents()
	r := s.longRun(n)
	for _, path := range []string{r.path(), r.path() + "?before=1900", r.path() + "?part=1&after=900", r.path() + "/events", r.path() + "?at=1500", r.path() + "/routing"} {
		if got := s.ask("GET", path, nil); len(got.body) > mostPageBytes {
			t.Errorf("%s has %d KB", path, len(got.body)>>10)
		}
	}
	b := s.tab().open(r.path()).live().says(fmt.Sprint("note ", n-5))
	call(b, performance.Enable, performance.EnableParams{})
	b.bounded("at first")

	// Back through what was before, which moves nothing that is being read.
	for range 4 {
		first := eval[string](b, firstItem)
		eval[any](b, `scrollTo(0, 0)`)
		b.until(firstItem + ` !== "` + first + `"`)
		b.ordered("going back")
	}
	b.bounded("after going back")
	eval[any](b, `document.querySelectorAll("mgx-timeline .item[data-seq]")[200].scrollIntoView()`)
	b.until(pill + `.hidden === false && document.querySelector("mgx-timeline .log").ariaBusy !== "true"`)
	seen, last := eval[string](b, seenItem), eval[string](b, lastItem)
	for i := range 3 {
		for range 10 {
			r.did(notes(fmt.Sprint("meanwhile ", i), 10)...)
		}
		b.until(fmt.Sprintf(`%s.textContent.trim() === "%d new"`, pill, 100*(i+1)))
	}
	if now := eval[string](b, seenItem); now != seen || eval[string](b, lastItem) != last {
		t.Errorf("the page moved from %s to %s", seen, now)
	}
	b.bounded("while more comes")

	// Forward again, part by part, to the very end.
	for eval[bool](b, pill+`.hidden === false`) {
		last := eval[string](b, lastItem)
		eval[any](b, `scrollTo(0, document.documentElement.scrollHeight)`)
		b.until(lastItem + ` !== "` + last + `" || ` + pill + `.hidden`)
		b.ordered("going on")
	}
	b.says("meanwhile 2").bounded("at the end again")

	// At the end, what comes is followed, also when very much comes at once.
	eval[any](b, `scrollTo(0, document.documentElement.scrollHeight)`)
	b.until(pill + `.hidden`)
	r.did(append(notes("burst", 900), notes("the last of it", 1)...)...)
	b.says("the last of it").until(`innerHeight + scrollY >= document.documentElement.scrollHeight - 200`)
	b.bounded("after a burst")
}

// TestToTheNewest opens an item long ago by its address and goes to the newest from
// there, which does not lose the keyboard.
func TestToTheNewest(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.longRun(1000)
	b := s.tab()
	call(b, performance.Enable, performance.EnableParams{})
	b.open(r.path() + "#e100").live().until(`document.querySelector("#e100")?.getBoundingClientRect().top > 0`)
	b.until(pill + `.hidden === false`)
	r.did(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "the newest"})
	b.until(pill + `.textContent.includes("new")`)
	eval[any](b, pill+`.focus()`)
	b.keys("n").says("the newest").until(pill + `.hidden`)
	if at := eval[string](b, `document.activeElement.tagName`); at != "MGX-TIMELINE" {
		t.Errorf("the focus is on %s", at)
	}
	b.bounded("at the newest")
}

// TestLongWords shows a bounded part of what one item says, with a way to all of it.
func TestLongWords(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	r := s.play("Say very much")
	lines := func(what string) string { return strings.Repeat(what+" on a line\n", 2500) + "the end of " + what }
	var many []any
	for i := range 16 {
		id := fmt.Sprint("c", i)
		many = append(many,
			mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "implementer", Text: "begins here " + lines("text")},
			mgx.ToolCalled, mgx.ToolCallData{CallID: id, Name: "write", Effect: "write", Arguments: `{"content":` + quoted(lines("argument")) + `}`, Summary: id},
			mgx.ToolReturned, mgx.ToolResultData{CallID: id, Name: "write", Status: "success", Output: "begins here\n" + lines("output")},
			mgx.RunChecksCompleted, mgx.ChecksData{Round: id, Checks: []mgx.CheckResult{{Name: "test", Command: "go test", Status: "failed", Output: lines("check")}}},
		)
	}
	r.did(many...)
	got := s.ask("GET", r.path(), nil)
	if len(got.body) > mostPageBytes {
		t.Errorf("it has %d KB", len(got.body)>>10)
	}
	has(t, got, "begins here", "the end of output", "the end of check", "more lines, which are not shown here", "Show what was before")
	hasNot(t, got, "the end of text", "the end of argument")
	for item, all := range map[int][]string{3: {"the end of text"}, 4: {"the end of argument", "the end of output"}} {
		has(t, s.ask("GET", fmt.Sprint(r.path(), "?item=", item), nil), all...)
	}
	has(t, s.ask("GET", r.path()+"/checks", nil), "the end of check")

	// What comes live is bounded as well, part by part, and nothing is left out.
	after, parts := int64(2), 0
	for more := true; more; parts++ {
		got := s.ask("GET", fmt.Sprint(r.path(), "?part=1&after=", after), nil)
		next := number(t, got.body, `data-last="`)
		if len(got.body) > mostPageBytes || next <= after {
			t.Fatalf("after %d: %d KB, up to %d", after, len(got.body)>>10, next)
		}
		for seq := after + 1; seq <= next; seq++ {
			if kind := (seq - 3) % 4; kind != 2 && !strings.Contains(got.body, fmt.Sprintf(`id="e%d"`, seq)) { // a result is in its call
				t.Errorf("the part up to %d leaves out %d", next, seq)
			}
		}
		after, more = next, strings.Contains(got.body, "data-more")
	}
	if after != 66 || parts < 3 {
		t.Errorf("it ended at %d after %d parts", after, parts)
	}
}

// number is the one that follows a text.
func number(t *testing.T, text, before string) (n int64) {
	t.Helper()
	_, rest, _ := strings.Cut(text, before)
	if _, err := fmt.Sscan(strings.SplitN(rest, `"`, 2)[0], &n); err != nil {
		t.Fatalf("%s: %v", before, err)
	}
	return n
}

// chromedpCall is a command with its answer.
func chromedpCall[P, R any](b *tab, command cdp.Command[P, R], params P) (R, error) {
	return chromedp.Call(b.ctx, command, params)
}

// notes are events of which each says something.
func notes(text string, n int) (all []any) {
	for range n {
		all = append(all, mgx.RunNoted, mgx.NotedData{Level: "info", Text: text})
	}
	return all
}
