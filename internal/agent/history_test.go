package agent

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/llm"
	"mgx/internal/tool"
)

// anyHistory draws histories as a crash, a fork or a hostile provider could
// leave them: orphans, duplicates, gaps, empty messages.
func anyHistory(t *rapid.T) []llm.Message {
	var out []llm.Message
	for i := range rapid.IntRange(0, 12).Draw(t, "n") {
		m := llm.Message{Role: rapid.SampledFrom([]llm.Role{llm.User, llm.Assistant, llm.Tool}).Draw(t, "role")}
		for j := range rapid.IntRange(0, 3).Draw(t, "parts") {
			id := fmt.Sprintf("c%d", rapid.IntRange(0, 4).Draw(t, "id"))
			switch {
			case m.Role == llm.Tool:
				m.Parts = append(m.Parts, llm.Part{Result: &llm.ToolResult{CallID: id, Text: fmt.Sprint(i, j)}})
			case m.Role == llm.Assistant && rapid.Bool().Draw(t, "call"):
				if !slices.ContainsFunc(m.Parts, func(p llm.Part) bool { return p.Call != nil && p.Call.ID == id }) {
					m.Parts = append(m.Parts, llm.Part{Call: &llm.ToolCall{ID: id, Name: "x"}})
				}
			default:
				m.Parts = append(m.Parts, llm.Part{Text: fmt.Sprint("t", i, j)})
			}
		}
		out = append(out, m)
	}
	return out
}

// whole says what is wrong with a history, or nothing.
func whole(history []llm.Message) string {
	for i, m := range history {
		if len(m.Parts) == 0 {
			return fmt.Sprintf("message %d is empty", i)
		}
		if i > 0 && m.Role == llm.User && history[i-1].Role == llm.User {
			return fmt.Sprintf("message %d is a second one of the user", i)
		}
		want := callsOf(m)
		if len(want) == 0 {
			if m.Role == llm.Tool && (i == 0 || len(callsOf(history[i-1])) == 0) {
				return fmt.Sprintf("message %d has results without calls", i)
			}
			continue
		}
		if i+1 >= len(history) || history[i+1].Role != llm.Tool || len(history[i+1].Parts) != len(want) {
			return fmt.Sprintf("the calls of message %d are not answered one by one", i)
		}
		for j, c := range want {
			if history[i+1].Parts[j].Result.CallID != c.ID {
				return fmt.Sprintf("call %d of message %d has another's result", j, i)
			}
		}
	}
	return ""
}

func TestRepairMakesAnyHistoryWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyHistory(t)
		out := llm.Repair(in)
		if problem := whole(out); problem != "" {
			t.Fatalf("%s in %+v", problem, out)
		}
		if again := llm.Repair(out); !reflect.DeepEqual(again, out) {
			t.Fatalf("repairing twice changes it: %+v then %+v", out, again)
		}
	})
}

func TestCompactionKeepsWhatItMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := rapid.IntRange(5, 60).Draw(t, "turns")
		lines := rapid.IntRange(1, 400).Draw(t, "lines")
		window := rapid.IntRange(2_000, 40_000).Draw(t, "window")
		big := gadget{"look", tool.Read, func(args string) tool.Result {
			return tool.Result{Status: tool.Success, Text: args + "\n" + strings.Repeat("line\n", lines)}
		}}
		s := spec(big)
		s.Opening, s.Window, s.MaxTurns = []Piece{own("THE TASK "), own("AND THE RULES")}, window, 200
		worked := 0
		d := &desk{}
		d.model = func(n int, req *llm.Request) (*llm.Response, error) {
			if problem := whole(req.Messages); problem != "" {
				t.Fatalf("turn %d: %s", n, problem)
			}
			if req.Messages[0].Parts[0].Text != "THE TASK AND THE RULES" {
				t.Fatalf("turn %d: the opening is gone: %+v", n, req.Messages[0])
			}
			if req.ToolChoice == "none" {
				return calls("DONE: much"), nil
			}
			if worked > 0 {
				last := req.Messages[len(req.Messages)-1]
				if got := last.Parts[len(last.Parts)-1].Result; got == nil || !strings.HasPrefix(got.Text, fmt.Sprintf(`{"n":%d}`, worked)) {
					t.Fatalf("turn %d: the latest result is not word for word: %+v", n, last)
				}
			}
			if worked++; worked > turns {
				return finish(), nil
			}
			return calls("", call("look", fmt.Sprintf(`{"n":%d}`, worked))), nil
		}
		if _, err := New(d, s).Run(); err != nil {
			t.Fatal(err)
		}
	})
}
