package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/tool"
)

// desk is a host without a journal: a function for the model, tools run at once.
type desk struct {
	model func(n int, req *llm.Request) (*llm.Response, error)

	mu       sync.Mutex
	steps    []string
	requests []*llm.Request
	warnings []string
	plans    []mgx.Plan
	denied   []string
	trees    func(c Call) string
	said     map[string][]string // by turn
}

func (d *desk) step(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slices.Contains(d.steps, name) {
		panic("step name used twice: " + name)
	}
	d.steps = append(d.steps, name)
}

func (d *desk) Turn(step string, req *llm.Request) (*llm.Response, error) {
	d.step(step)
	d.requests = append(d.requests, req)
	return d.model(len(d.requests), req)
}

func (d *desk) Call(step string, c Call) (Outcome, error) {
	d.step(step)
	if c.Denied != "" {
		d.denied = append(d.denied, c.Name)
		return Outcome{Result: tool.Result{Status: tool.Denied, Text: c.Denied}}, nil
	}
	res, err := c.Tool.Call(context.Background(), nil, c.Args)
	out := Outcome{Result: res}
	if d.trees != nil {
		out.Tree = d.trees(c)
	}
	return out, err
}

func (d *desk) Each(n int, fn func(i int, h Host) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i, d) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *desk) Ask(step, question string) (string, error) {
	d.step(step)
	return "answer to " + question, nil
}

func (d *desk) Plan(step string, p mgx.Plan) error {
	d.step(step)
	d.plans = append(d.plans, p)
	return nil
}

func (d *desk) Heard(turn string) (all []Said, err error) {
	for _, words := range d.said[turn] {
		all = append(all, Said{Text: words, Label: mgx.Label{Sources: []string{mgx.SourceUser}}})
	}
	delete(d.said, turn)
	return all, nil
}

func (d *desk) Warn(step, text string) error {
	d.step(step)
	d.warnings = append(d.warnings, text)
	return nil
}

// gadget is a tool that answers what it is made to.
type gadget struct {
	name   string
	effect tool.Effect
	answer func(args string) tool.Result
}

func (g gadget) Spec() tool.Spec {
	return tool.Spec{
		Name: g.name, Description: "a test tool", Effect: g.effect,
		Schema: json.RawMessage(`{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}`),
	}
}

func (g gadget) Call(_ context.Context, _ *tool.Workspace, args json.RawMessage) (tool.Result, error) {
	return g.answer(string(args)), nil
}

func echo(name string, e tool.Effect) gadget {
	return gadget{name, e, func(args string) tool.Result {
		return tool.Result{Status: tool.Success, Text: name + " " + args}
	}}
}

var finishSpec = tool.FinishSpec(json.RawMessage(`{"type":"object","properties":{"word":{"type":"string"}},"required":["word"],"additionalProperties":false}`), "End.")

func spec(tools ...tool.Tool) Spec {
	return Spec{
		Role: "tester", Conversation: "test", Model: "scripted/x", System: "be good", Opening: []Piece{own("the task")},
		Tools: tools, Controls: tool.ControlSpecs(), Finish: finishSpec, MaxTurns: 50, MaxOutput: 1000, Window: 100_000,
	}
}

var callID atomic.Int64

func calls(text string, list ...llm.ToolCall) *llm.Response {
	m := llm.Message{Role: llm.Assistant}
	if text != "" {
		m.Parts = append(m.Parts, llm.Part{Text: text})
	}
	for _, c := range list {
		if c.ID == "" {
			c.ID = fmt.Sprintf("call_%d", callID.Add(1))
		}
		m.Parts = append(m.Parts, llm.Part{Call: &c})
	}
	finish := llm.FinishStop
	if len(list) > 0 {
		finish = llm.FinishTools
	}
	return &llm.Response{Message: m, Finish: finish, Usage: mgx.Usage{Prompt: 10, Completion: 5}}
}

func call(name, args string) llm.ToolCall { return llm.ToolCall{Name: name, Args: args} }

func finish() *llm.Response { return calls("", call("finish", `{"word":"ok"}`)) }

// script answers turn by turn and finishes after its end.
func script(turns ...*llm.Response) func(int, *llm.Request) (*llm.Response, error) {
	return func(n int, _ *llm.Request) (*llm.Response, error) {
		if n > len(turns) {
			return finish(), nil
		}
		return turns[n-1], nil
	}
}

func TestFinishEndsTheLoopWithItsArguments(t *testing.T) {
	d := &desk{model: script(calls("looking", call("look", `{"n":1}`)))}
	got, err := New(d, spec(echo("look", tool.Read))).Run()
	if err != nil || string(got) != `{"word":"ok"}` {
		t.Fatalf("got %s, %v", got, err)
	}
	second := d.requests[1].Messages
	if len(second) != 3 || second[2].Parts[0].Result.Text != `look {"n":1}` {
		t.Errorf("the result did not go back to the model: %+v", second)
	}
}

func TestReadOnlyCallsRunAtOnceAndOthersInOrder(t *testing.T) {
	var running, most atomic.Int32
	gate := make(chan struct{})
	look := gadget{"look", tool.Read, func(string) tool.Result {
		if n := running.Add(1); n == 3 {
			close(gate) // only when all three are under way
		}
		<-gate
		most.Store(max(most.Load(), running.Load()))
		running.Add(-1)
		return tool.Result{Status: tool.Success}
	}}
	var order []string
	poke := gadget{"poke", tool.Write, func(args string) tool.Result {
		order = append(order, args)
		return tool.Result{Status: tool.Success}
	}}
	d := &desk{model: script(calls("", call("look", "{}"), call("look", `{"n":2}`), call("look", `{"n":3}`), call("poke", `{"n":1}`), call("poke", `{"n":2}`)))}
	if _, err := New(d, spec(look, poke)).Run(); err != nil {
		t.Fatal(err)
	}
	if most.Load() != 3 || !slices.Equal(order, []string{`{"n":1}`, `{"n":2}`}) {
		t.Errorf("%d looks at once, pokes %v", most.Load(), order)
	}
}

func TestRefusedAndUnknownTools(t *testing.T) {
	s := spec(echo("look", tool.Read))
	s.Forbidden = []string{"edit"}
	d := &desk{model: script(calls("", call("edit", `{"path":"x"}`), call("teleport", `{}`), call("look", `{}`)))}
	if _, err := New(d, s).Run(); err != nil {
		t.Fatal(err)
	}
	results := d.requests[1].Messages[2].Parts
	for i, want := range []string{"Refused: the tester may not use edit", `There is no tool "teleport"`, "look {}"} {
		if !strings.HasPrefix(results[i].Result.Text, want) {
			t.Errorf("result %d: %q, want %q…", i, results[i].Result.Text, want)
		}
	}
	if !results[0].Result.IsError || !slices.Equal(d.denied, []string{"edit"}) {
		t.Errorf("the refusal is not recorded as one: %v", d.denied)
	}
}

func TestFinishIsEarned(t *testing.T) {
	s := spec()
	rejections := 0
	s.Accept = func(json.RawMessage, *mgx.Plan) string { rejections++; return "the tests did not run" }
	d := &desk{model: script()}
	if _, err := New(d, s).Run(); err != nil {
		t.Fatal(err)
	}
	if rejections != maxRejections || len(d.requests) != maxRejections+1 {
		t.Errorf("%d rejections in %d turns", rejections, len(d.requests))
	}
	last := d.requests[1].Messages
	if text := last[len(last)-1].Parts[0].Text; !strings.Contains(text, "the tests did not run") {
		t.Errorf("the agent was not told why: %q", text)
	}
}

func TestStuckAgentsAreWarnedThenEnded(t *testing.T) {
	same := func(int, *llm.Request) (*llm.Response, error) { return calls("", call("look", `{}`)), nil }
	pingPong := func(n int, _ *llm.Request) (*llm.Response, error) {
		return calls("", call("look", fmt.Sprintf(`{"n":%d}`, n%2))), nil
	}
	talk := func(n int, _ *llm.Request) (*llm.Response, error) {
		return calls(fmt.Sprint("I will do it now ", n)), nil
	}
	failing := func(n int, _ *llm.Request) (*llm.Response, error) {
		return calls("", call("break", fmt.Sprintf(`{"n":%d}`, n))), nil
	}
	broken := gadget{"break", tool.Read, func(string) tool.Result { return tool.Result{Status: tool.Failure, Text: "no"} }}
	for name, model := range map[string]func(int, *llm.Request) (*llm.Response, error){
		"same call": same, "ping-pong": pingPong, "monologue": talk, "same error": failing,
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{model: model}
			_, err := New(d, spec(echo("look", tool.Read), broken)).Run()
			if !mgx.IsCode(err, "stuck") {
				t.Fatalf("got %v, want stuck", err)
			}
			if len(d.warnings) != 2 {
				t.Errorf("%d warnings before the end: %v", len(d.warnings), d.warnings)
			}
			if len(d.requests) > 12 {
				t.Errorf("it took %d turns", len(d.requests))
			}
		})
	}
}

func TestTheSameCallIsFineWhenFilesChange(t *testing.T) {
	n := 0
	d := &desk{
		model: func(n int, _ *llm.Request) (*llm.Response, error) {
			if n > 20 {
				return finish(), nil
			}
			return calls("", call("poke", `{}`)), nil
		},
		trees: func(Call) string { n++; return fmt.Sprint("tree", n) },
	}
	if _, err := New(d, spec(echo("poke", tool.Write))).Run(); err != nil || len(d.warnings) > 0 {
		t.Fatalf("%v, warnings %v", err, d.warnings)
	}
}

func TestOddAnswers(t *testing.T) {
	cut := calls("half a sent")
	cut.Finish = llm.FinishLength
	declined := calls("I cannot help with that")
	declined.Finish = llm.FinishRefusal
	for name, c := range map[string]struct {
		always *llm.Response
		code   string
	}{
		"empty":     {calls(""), "model_empty"},
		"cut":       {cut, "model_empty"},
		"refusal":   {declined, "model_refused"},
		"malformed": {calls("", call("finish", `{"word":`)), "model_malformed"},
		"wrong":     {calls("", call("finish", `{"wrong":1}`)), "model_malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{model: func(int, *llm.Request) (*llm.Response, error) { return c.always, nil }}
			_, err := New(d, spec()).Run()
			if !mgx.IsCode(err, c.code) {
				t.Errorf("got %v, want %s", err, c.code)
			}
			if len(d.requests) > 4 {
				t.Errorf("it took %d turns", len(d.requests))
			}
		})
	}
}

func TestTurnLimit(t *testing.T) {
	s := spec(echo("look", tool.Read))
	s.MaxTurns = 4
	d := &desk{model: func(n int, _ *llm.Request) (*llm.Response, error) {
		return calls("", call("look", fmt.Sprintf(`{"n":%d}`, n))), nil
	}}
	if _, err := New(d, s).Run(); !mgx.IsCode(err, "turn_limit") || len(d.requests) != 4 {
		t.Errorf("%v after %d turns", err, len(d.requests))
	}
}

func TestPlanQuestionsAndNotes(t *testing.T) {
	s := spec()
	s.Plan = &mgx.Plan{Goal: "g", Steps: []mgx.PlanStep{{Text: "one", Status: "todo"}}}
	d := &desk{model: script(calls("",
		call("update_plan", `{"steps":[{"text":"one","status":"done"}]}`),
		call("ask", `{"questions":[{"text":"which?","choices":["a","b"]}]}`),
		call("note", `{"text":"remember"}`)))}
	c := New(d, s)
	if _, err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if len(d.plans) != 1 || d.plans[0].Goal != "g" || d.plans[0].Steps[0].Status != "done" || len(OpenSteps(c.Plan())) != 0 {
		t.Errorf("plan %+v", d.plans)
	}
	if got := d.requests[1].Messages[2].Parts[1].Result.Text; got != "answer to which?\n  - a\n  - b" {
		t.Errorf("answer %q", got)
	}
}

func TestHistoryThatDoesNotFitIsShrunkAndSentAgain(t *testing.T) {
	tooLong := mgx.Errorf(mgx.KindProvider, CodeTooLong, "too long")
	refusals := 0
	d := &desk{model: func(n int, req *llm.Request) (*llm.Response, error) {
		switch {
		case req.ToolChoice == "none":
			return calls("summary of it all"), nil
		case n <= 20:
			return calls("", call("look", fmt.Sprintf(`{"n":%d}`, n))), nil
		case refusals < 2:
			refusals++
			return nil, tooLong
		}
		return finish(), nil
	}}
	big := gadget{"look", tool.Read, func(args string) tool.Result {
		return tool.Result{Status: tool.Success, Text: args + strings.Repeat("x", 3000)}
	}}
	if _, err := New(d, spec(big)).Run(); err != nil || refusals != 2 {
		t.Fatalf("%v after %d refusals", err, refusals)
	}
	if a, b := size(d.requests[20].Messages), size(d.requests[len(d.requests)-1].Messages); b >= a {
		t.Errorf("the history was not shrunk: %d then %d", a, b)
	}
}

func size(m []llm.Message) int { return estimate(m) }

func TestPeopleAreHeardBeforeTheNextTurn(t *testing.T) {
	d := &desk{
		model: script(calls("looking", call("look", `{"n":1}`)), calls("again", call("look", `{"n":2}`))),
		said:  map[string][]string{"engineer/002/turn": {"Keep the alias.", "And the test."}},
	}
	s := spec(echo("look", tool.Read))
	s.Conversation = "engineer"
	if _, err := New(d, s).Run(); err != nil {
		t.Fatal(err)
	}
	last := d.requests[1].Messages[len(d.requests[1].Messages)-1]
	var text strings.Builder
	for _, p := range last.Parts {
		text.WriteString(p.Text)
	}
	if last.Role != llm.User || !strings.Contains(text.String(), "Keep the alias.") || !strings.Contains(text.String(), "And the test.") {
		t.Errorf("the second turn ends with %+v", last)
	}
	if first := fmt.Sprintf("%+v", d.requests[0].Messages); strings.Contains(first, "alias") {
		t.Error("the first turn heard it")
	}
	if n := len(d.requests[2].Messages); !strings.Contains(fmt.Sprintf("%+v", d.requests[2].Messages[:n-2]), "alias") {
		t.Error("it is not part of the history")
	}
}
