package web

import (
	"bytes"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mgx"
)

// outsideTags are the tags that words of others may become part of.
var outsideTags = regexp.MustCompile(`</?(div|p|pre|code|strong|em|ul|ol|li|blockquote|span|a)( class="[a-z0-9 -]*")?( rel="noopener noreferrer nofollow ugc" target="_blank" href="([^"<>]*)")?>`)

// allowedAddress is one at docs.example: what ends a name in an address, or no host has,
// comes after it.
var allowedAddress = regexp.MustCompile(`^(?i:https?://docs\.example)(:[0-9]*)?[^a-zA-Z0-9/?#<> \x{80}-\x{10ffff}]*([/?#<> \]]|$)`)

// onlyOurs reports what is markup in a text and not ours, or leads elsewhere.
func onlyOurs(text string) string {
	for _, tag := range outsideTags.FindAllStringSubmatch(text, -1) {
		if address := html.UnescapeString(tag[4]); tag[3] != "" && !allowedAddress.MatchString(address) {
			return address
		}
	}
	rest := outsideTags.ReplaceAllString(text, "")
	if i := strings.IndexAny(rest, `<>"`); i >= 0 {
		return rest[max(0, i-40):min(len(rest), i+40)]
	}
	return ""
}

func TestMarked(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a **b** _c_ `d`":                        "<p>a <strong>b</strong> <em>c</em> <code>d</code></p>",
		"# T\ntext":                              "<p class=\"heading\"><strong>T</strong></p><p>text</p>",
		"- a\n- b\n  more":                       "<ul><li>a</li><li>b more</li></ul>",
		"1. a\n2. b":                             "<ol><li>a</li><li>b</li></ol>",
		"> a\n> b":                               "<blockquote>a\nb</blockquote>",
		"```go\nx := 1 // y\n```":                `<pre><code>x := <span class="n">1</span> <span class="c">// y</span></code></pre>`,
		"snake_case_name and 2*3*4":              "<p>snake_case_name and 2*3*4</p>",
		"<b>x</b> & *y":                          "<p>&lt;b&gt;x&lt;/b&gt; &amp; *y</p>",
		"[x](https://docs.example/a?b=1&c)":      `<p><a rel="noopener noreferrer nofollow ugc" target="_blank" href="https://docs.example/a?b=1&amp;c">x</a></p>`,
		"[x](https://evil.example/)":             "<p>[x](https://evil.example/)</p>",
		"[x](https://docs.example@evil.example)": "<p>[x](https://docs.example@evil.example)</p>",
		"[x](javascript:alert(1))":               "<p>[x](javascript:alert(1))</p>",
		"![x](https://docs.example/x.png)":       "<p>![x](https://docs.example/x.png)</p>",
		"[x](//docs.example)":                    "<p>[x](//docs.example)</p>",
	} {
		if got := string(marked([]string{"docs.example"}, text)); got != `<div class="prose">`+want+"</div>" {
			t.Errorf("%q became %s", text, got)
		}
	}
	if got := string(marked(nil, strings.Repeat("[", maxMarked)+"]")); onlyOurs(got) != "" {
		t.Error("what is long became markup")
	}
}

func FuzzMarked(f *testing.F) {
	for _, s := range []string{sampleProse, sampleANSI, "[x](https://docs.example/\"onclick=)", "```\"><script>\n<script>", "**<b>**", "\x00\xff<", "1. <x>\n2) *<y>*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, html := range []string{string(marked([]string{"docs.example"}, s)), string(ansi(s))} {
			if bad := onlyOurs(html); bad != "" {
				t.Errorf("%q has markup of its own: %s", s, bad)
			}
		}
	})
}

func TestANSI(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\x1b[31mred\x1b[0m plain":             `<span class="a-c1">red</span> plain`,
		"\x1b[1;32mok\n on\x1b[39m b":          `<span class="a-bold a-c2">ok</span>` + "\n" + `<span class="a-bold a-c2"> on</span><span class="a-bold"> b</span>`,
		"\x1b[2J\x1b[Hcleared <x>":             "cleared &lt;x&gt;",
		"\x1b]8;;http://x\x07link\x1b]8;;\x07": "link",
	} {
		if got := string(ansi(text)); got != want {
			t.Errorf("%q became %s, want %s", text, got, want)
		}
	}
	o := fold(strings.Repeat("line\n", 100))
	if len(o.First) != headLines || len(o.Last) != tailLines || len(o.Middle) != 100-headLines-tailLines || o.Lines != 100 {
		t.Errorf("folded to %d, %d, %d", len(o.First), len(o.Middle), len(o.Last))
	}
}

func TestReadDiff(t *testing.T) {
	t.Parallel()
	c := readDiff(samplePatch)
	if len(c.Files) != 3 || c.Adds != 3 || c.Dels != 2 {
		t.Fatalf("%+v", c)
	}
	one, renamed, binary := c.Files[0], c.Files[1], c.Files[2]
	if one.Name != "limiter.go" || one.What != "changed" || renamed.What != "renamed" || renamed.Was != "old name.txt" || renamed.Name != "new name.txt" || binary.What != "binary" || binary.Name != "logo.png" {
		t.Errorf("%+v", c.Files)
	}
	blocks := one.Hunks[0].Blocks
	if len(blocks) != 3 || blocks[1].Same || len(blocks[1].Old) != 2 || len(blocks[1].New) != 3 || blocks[1].Old[0].N != 16 || blocks[2].New[0].N != 19 || !strings.Contains(string(blocks[0].New[0].HTML), `class="c"`) {
		t.Errorf("%+v", blocks)
	}
	for _, q := range []string{`diff --git "a/\303\244<b>" "b/\303\244<b>"` + "\nnew file mode 100644\n--- /dev/null\n+++ \"b/\\303\\244<b>\"\n@@ -0,0 +1 @@\n+<script>\n"} {
		if f := readDiff(q).Files[0]; f.Name != "ä<b>" || f.What != "added" || string(f.Hunks[0].Blocks[0].New[0].HTML) != "&lt;script&gt;" {
			t.Errorf("%+v", f)
		}
	}
	if !readDiff("diff --git a/x b/x\n" + strings.Repeat("x\n", maxDiffLines+5)).Cut {
		t.Error("a very long difference is not cut")
	}
}

// TestWhoReviewsSeesWhatHides has characters that hide in a change and in a call that
// somebody is to approve.
func TestWhoReviewsSeesWhatHides(t *testing.T) {
	t.Parallel()
	f := readDiff("diff --git a/x\u202e.go b/x\u202e.go\n--- a/x\u202e.go\n+++ b/x\u202e.go\n@@ -1 +1 @@ f\u200b\n-old\r\n+if admin\u202e {\x1b[2K\r\n").Files[0]
	line := strings.NewReplacer(`<span class="k">`, "", `<span class="n">`, "", "</span>", "").Replace(string(f.Hunks[0].Blocks[0].New[0].HTML))
	if f.Name != "x<U+202E>.go" || f.Path != "x\u202e.go" || !strings.Contains(line, "admin&lt;U+202E&gt;") || !strings.Contains(line, "&lt;U+001B&gt;[2K") || strings.Contains(line, "U+000D") || f.Hunks[0].Head != "f<U+200B>" {
		t.Errorf("the change: %+v, %s", f, line)
	}
	args := arguments(`{"command":"rm \u202e-rf\nls","na\u200bme":["\u2066"]}`)
	if len(args) != 2 || args[0].Name != "na<U+200B>me" || args[1].Value != "rm <U+202E>-rf\nls" {
		t.Errorf("the call: %+v", args)
	}
	if got := arguments("no \u202e JSON"); len(got) != 1 || got[0].Value != "no <U+202E> JSON" {
		t.Errorf("a call that is no JSON: %+v", got)
	}
}

func FuzzReadDiff(f *testing.F) {
	f.Add(samplePatch)
	f.Add("diff --git a/x b/x\n@@ -9999999999999999999,2 +1,3 @@ <x>\n-\n+\n\\\n")
	f.Fuzz(func(t *testing.T, s string) {
		for _, file := range readDiff(s).Files {
			for _, h := range file.Hunks {
				for _, b := range h.Blocks {
					for _, l := range append(b.Old, b.New...) {
						if bad := onlyOurs(string(l.HTML)); bad != "" {
							t.Fatalf("%q has markup of its own: %s", s, bad)
						}
					}
				}
			}
		}
	})
}

// A call id may come again in another conversation; a result belongs to the last
// call of its id, and what has none stands alone.
func TestTimeline(t *testing.T) {
	t.Parallel()
	var events []mgx.Event
	add := func(typ mgx.EventType, d any) {
		e := mgx.NewEvent(typ, d)
		e.Sequence = int64(len(events) + 1)
		events = append(events, e)
	}
	add(mgx.RunCreated, mgx.RunCreatedData{ForkOf: "run_x", ForkAt: 3})
	add(mgx.ToolCalled, mgx.ToolCallData{CallID: "1", Name: "read"})
	add(mgx.RunPhaseChanged, mgx.PhaseData{Phase: "plan"})
	add(mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Name: "read", Status: "success"})
	add(mgx.ToolCalled, mgx.ToolCallData{CallID: "1", Name: "shell"})
	add(mgx.ToolReturned, mgx.ToolResultData{CallID: "1", Name: "shell", Status: "error"})
	add(mgx.ToolReturned, mgx.ToolResultData{CallID: "9", Name: "shell", Status: "denied"})
	phases := timeline(events)
	if len(phases) != 2 || len(phases[0].Items) != 3 || len(phases[1].Items) != 2 || phases[1].Key != "plan:3" {
		t.Fatalf("%+v", phases)
	}
	first, second, alone := phases[0].Items[2], phases[1].Items[0], phases[1].Items[1]
	if first.Tool.Status() != "success" || first.Last != 4 || second.Tool.Status() != "error" || alone.ID != "e7" || phases[0].Items[0].ID == phases[0].Items[1].ID {
		t.Errorf("%+v %+v %+v", first, second, alone)
	}
	if now := between(phases, func(i *item) bool { return i.Last > 4 }); len(now) != 1 || len(now[0].Items) != 2 || len(phases[0].Items) != 3 {
		t.Errorf("%+v", now)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		tokens(940): "940", tokens(12_345): "12.3k", tokens(999_960): "1M", tokens(4_560_000): "4.56M", whole(1234567): "1,234,567", whole(-1234): "-1,234", whole(12): "12",
		took(85 * time.Millisecond): "85 ms", took(3200 * time.Millisecond): "3.2 s", took(192 * time.Second): "3 min 12 s", took(125 * time.Minute): "2 h 5 min",
		middle(9, "abcdefghijklmnop"): "abcd…mnop", middle(20, "short"): "short", short("run_01J0000000000000000SAMPLE"): "run_…SAMPLE", short("ws_default"): "ws_default", sentence("no such run"): "No such run.",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Every key that templates and code name has a text.
func TestTexts(t *testing.T) {
	t.Parallel()
	var all bytes.Buffer
	for _, pattern := range []string{"*.go", "templates/*.html", "templates/shared/*.html"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(name, "text") && !strings.HasSuffix(name, "_test.go") {
				all.Write(text)
			}
		}
	}
	words := catalogue()
	for _, m := range regexp.MustCompile(`\(?\bt "([a-z.]+)"`).FindAllStringSubmatch(all.String(), -1) {
		if _, ok := words[m[1]]; !ok {
			t.Errorf("there is no text %q", m[1])
		}
	}
}

// The first view of a page loads little: all scripts and styles together.
func TestFirstViewIsSmall(t *testing.T) {
	t.Parallel()
	s := newStatic()
	total := 0
	for _, name := range []string{"app.js", "app.css"} {
		f := s.files[s.address(name)]
		total += len(f.plain)
		if len(f.br) >= len(f.gzip) || len(f.gzip) >= len(f.plain) {
			t.Errorf("%s is not compressed: %d, %d, %d", name, len(f.plain), len(f.gzip), len(f.br))
		}
	}
	if total > 100<<10 {
		t.Errorf("scripts and styles are %d KB before they are compressed", total>>10)
	}
}
