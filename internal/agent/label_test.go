package agent

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/tool"
)

var anyLabel = rapid.Custom(func(t *rapid.T) mgx.Label {
	l := mgx.Label{Untrusted: rapid.Bool().Draw(t, "untrusted"), Secrecy: rapid.SampledFrom([]mgx.Confidentiality{mgx.Public, mgx.Private, mgx.Secret}).Draw(t, "secrecy")}
	return l.Join(mgx.Label{Sources: rapid.SliceOfN(rapid.SampledFrom([]string{"user", "repository", "web:a", "mcp:b"}), 0, 2).Draw(t, "sources")})
})

// covers reports whether a label is at least as strict as another in all it says.
func covers(a, b mgx.Label) bool { return reflect.DeepEqual(a.Join(b), a) }

// whoSays is a host whose tools give results with the label that the test chose;
// nil is one that a host forgot.
type whoSays struct {
	*desk
	given []*mgx.Label
}

func (w *whoSays) Call(step string, c Call) (Outcome, error) {
	out, err := w.desk.Call(step, c)
	out.Label = w.given[len(w.requests)-1]
	return out, err
}

// TestLabelsNeverGetWeaker follows conversations of any length, through elided
// results, summaries, and messages from outside: each request has the label of
// the one before, of all that came back since and of all that was said, and each
// call of a tool that of the request which it answers.
func TestLabelsNeverGetWeaker(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.IntRange(1, 40).Draw(t, "turns")
		big := gadget{"look", tool.Read, func(args string) tool.Result {
			return tool.Result{Status: tool.Success, Text: args + "\n" + strings.Repeat("line\n", 200)}
		}}
		s := spec(big)
		opening, later := anyLabel.Draw(t, "opening"), anyLabel.Draw(t, "later")
		s.Opening = []Piece{own("THE TASK"), {Text: "words", Label: opening}}
		s.Window, s.MaxTurns = rapid.IntRange(2_000, 40_000).Draw(t, "window"), 200
		host := &whoSays{desk: &desk{}}
		want, worked := opening, 0
		host.model = func(n int, req *llm.Request) (*llm.Response, error) {
			if !covers(req.Label, want) {
				t.Fatalf("request %d has %+v, which does not cover %+v", n, req.Label, want)
			}
			want = req.Label
			host.given = append(host.given, nil)
			if req.ToolChoice == "none" {
				return calls("DONE: much"), nil
			}
			if worked++; worked > turns {
				return finish(), nil
			}
			if rapid.IntRange(0, 5).Draw(t, "labelled") > 0 {
				host.given[n-1] = new(anyLabel.Draw(t, "label"))
				want = want.Join(*host.given[n-1])
			} else {
				want = want.Join(mgx.Label{Untrusted: true, Secrecy: mgx.Private})
			}
			return calls("", call("look", fmt.Sprintf(`{"n":%d}`, worked))), nil
		}
		host.trees = func(c Call) string {
			if !reflect.DeepEqual(c.Label, host.requests[len(host.requests)-1].Label) || c.Conversation != s.Conversation {
				t.Fatalf("a call in %s has %+v", c.Conversation, c.Label)
			}
			return ""
		}
		c := New(host, s)
		if _, err := c.Run(); err != nil {
			t.Fatal(err)
		}
		c.Say(own("go on"), Piece{Text: "failing", Label: later})
		want = want.Join(later)
		if !covers(c.Label(), want) {
			t.Fatalf("the conversation has %+v, which does not cover %+v", c.Label(), want)
		}
		if _, err := c.Run(); err != nil {
			t.Fatal(err)
		}
	})
}

// TestEveryItemHasALabel looks at each part of each request.
func TestEveryItemHasALabel(t *testing.T) {
	d := &desk{model: script(
		calls("I look", call("look", `{"n":1}`), call("nothing", `{}`), call("look", `{"m":1}`)),
		calls("", call("note", `{"text":"x"}`), call("ask", `{"questions":[{"text":"which?"}]}`)),
		calls("I wait"),
	)}
	if _, err := New(d, spec(echo("look", tool.Read))).Run(); err != nil {
		t.Fatal(err)
	}
	for i, m := range d.requests[len(d.requests)-1].Messages {
		for j, p := range m.Parts {
			if forgotten := p.Result != nil && p.Result.Text == `look {"n":1}`; (p.Label == nil) != forgotten {
				t.Errorf("message %d, part %d: label %+v of %+v", i, j, p.Label, p)
			}
		}
	}
}

// TestWhatOthersWroteIsMarked finds marks around data and around results that are
// not to be trusted, and nowhere else; also when results become text.
func TestWhatOthersWroteIsMarked(t *testing.T) {
	marks := guard.NewMarker("secret", "c")
	s := spec(echo("look", tool.Read))
	s.Marks, s.Window, s.MaxTurns = marks, 3000, 100
	s.Opening = []Piece{own("TASK "), {Text: "the page", Data: true}, own(" END"), {Text: "a plan", Label: mgx.Label{Untrusted: true}}}
	host := &whoSays{desk: &desk{}}
	host.model = func(n int, req *llm.Request) (*llm.Response, error) {
		host.given = append(host.given, &mgx.Label{Untrusted: n%2 == 0})
		if n > 40 {
			return finish(), nil
		}
		return calls("", call("look", fmt.Sprintf(`{"n":%d}`, n))), nil
	}
	if _, err := New(host, s).Run(); err != nil {
		t.Fatal(err)
	}
	if got, want := host.requests[0].Messages[0].Parts[0].Text, "TASK "+marks.Mark("the page")+" ENDa plan"; got != want {
		t.Errorf("the opening is %q, want %q", got, want)
	}
	for i, m := range host.requests[3].Messages {
		for _, p := range m.Parts {
			if p.Result == nil {
				continue
			}
			bare := fmt.Sprintf(`look {"n":%d}`, i/2)
			if want := map[bool]string{true: marks.Mark(bare), false: bare}[p.Label.Untrusted]; p.Result.Text != want {
				t.Errorf("result %q, want %q", p.Result.Text, want)
			}
		}
	}
}

// TestRefusedByItsArguments refuses calls of any tool, also of the loop's own, and
// whether or not they can be read.
func TestRefusedByItsArguments(t *testing.T) {
	s := spec(echo("look", tool.Read))
	s.Refuse = func(args string) string {
		if strings.Contains(args, "bad") {
			return "Refused."
		}
		return ""
	}
	d := &desk{model: script(calls("", call("look", `{"n":"bad"`), call("note", `{"text":"bad"}`), call("finish", `{"word":"bad"}`), call("look", `{}`)))}
	got, err := New(d, s).Run()
	if err != nil || string(got) != `{"word":"ok"}` || !slices.Equal(d.denied, []string{"look", "note", "finish"}) {
		t.Errorf("got %s, %v; refused %v", got, err, d.denied)
	}
}

// TestNothingHidesInWhatAgentsAreGiven has people and others write what nobody sees.
func TestNothingHidesInWhatAgentsAreGiven(t *testing.T) {
	t.Parallel()
	const hidden = "go\u202e on\u200b\U000e0069\U000e0067\ufe01\x1b]8;;http://evil\x07!\r\n\tend"
	s := spec()
	s.Opening = []Piece{own("Task: "), {What: "task", Text: hidden}, {What: "diff", Text: hidden, Data: true}}
	host := &desk{model: func(int, *llm.Request) (*llm.Response, error) { return finish(), nil }}
	if _, err := New(host, s).Run(); err != nil {
		t.Fatal(err)
	}
	got := host.requests[0].Messages[0].Parts[0].Text
	want := "Task: go on!\n\tendgo<U+202E> on<U+200B><U+E0069><U+E0067><U+FE01><U+001B>]8;;http://evil<U+0007>!\r\n\tend"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
