package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/llm"
	"mgx/internal/tool"
)

// batch is what one turn's calls came to.
type batch struct {
	message    llm.Message
	finish     json.RawMessage // arguments of a valid finish call
	runnable   int             // calls that were understood
	firstError string          // of a call that was not
	seen       []observation
	changed    bool // files may have changed
}

// planned is a call on its way: refused or not understood (answer set), or ready.
type planned struct {
	call   llm.ToolCall
	tool   tool.Tool // nil for control calls
	spec   tool.Spec
	args   json.RawMessage
	answer *tool.Result
	denied string
	out    Outcome
}

// act runs the calls of one turn: neighbouring read-only calls at once, all
// others one after the other in the order the model gave.
func (c *Conversation) act(calls []llm.ToolCall) (batch, error) {
	var b batch
	todo := make([]*planned, len(calls))
	for i, call := range calls {
		todo[i] = c.understand(call)
		if i >= maxCalls {
			todo[i].answer = failure("Only the first %d calls of a turn are run; call again with what is left.", maxCalls)
		}
	}
	for i := 0; i < len(todo); {
		n := i + 1
		for parallel(todo[i]) && n < len(todo) && n-i < maxParallel && parallel(todo[n]) {
			n++
		}
		if err := c.runGroup(todo[i:n], i); err != nil {
			return b, err
		}
		i = n
	}
	b.message.Role = llm.Tool
	for _, p := range todo {
		c.account(&b, p)
	}
	return b, nil
}

func (c *Conversation) account(b *batch, p *planned) {
	r := p.out.Result
	if p.answer != nil {
		r = *p.answer
		if b.firstError == "" && p.denied == "" {
			b.firstError = clip(r.Text, 200)
		}
	}
	if p.answer == nil || p.denied != "" {
		b.runnable++
	}
	if p.spec.Name == c.spec.Finish.Name && p.answer == nil {
		b.finish = p.args
	}
	b.changed = b.changed || p.out.Tree != ""
	b.seen = append(b.seen, observe(p.call, r, p.out.Tree))
	b.message.Parts = append(b.message.Parts, llm.Part{Label: c.resultLabel(p), Result: &llm.ToolResult{
		CallID: p.call.ID, Name: p.call.Name, Text: r.Text, IsError: r.Status != tool.Success,
	}})
}

func parallel(p *planned) bool {
	return p.answer == nil && p.tool != nil && p.spec.Effect == tool.Read
}

func (c *Conversation) runGroup(group []*planned, first int) error {
	if len(group) == 1 {
		return c.runOne(c.host, group[0], first)
	}
	return c.host.Each(len(group), func(i int, h Host) error {
		return c.runOne(h, group[i], first+i)
	})
}

func (c *Conversation) runOne(h Host, p *planned, i int) error {
	step := c.step(fmt.Sprintf("%d-%s", i+1, stepWord(p.call.Name)))
	call := Call{
		ID: p.call.ID, Name: p.call.Name, Tool: p.tool, Args: p.args, Denied: p.denied,
		Role: c.spec.Role, Conversation: c.spec.Conversation, Label: c.label,
	}
	var err error
	switch {
	case p.denied != "":
		p.out, err = h.Call(step, call)
	case p.answer != nil:
	case p.tool != nil:
		p.out, err = h.Call(step, call)
	default:
		p.out.Label = &mgx.Label{}
		p.out.Result, err = c.control(h, step, p)
	}
	return err
}

// understand finds the tool and checks the arguments.
func (c *Conversation) understand(call llm.ToolCall) *planned {
	p := &planned{call: call}
	if c.spec.Refuse != nil {
		if why := c.spec.Refuse(call.Args); why != "" {
			return p.refuse(why, call.Args)
		}
	}
	var known []string
	for _, t := range c.spec.Tools {
		if s := t.Spec(); s.Name == call.Name {
			p.tool, p.spec = t, s
		} else {
			known = append(known, s.Name)
		}
	}
	for _, s := range c.controls() {
		if s.Name == call.Name {
			p.spec = s
		}
		known = append(known, s.Name)
	}
	if p.spec.Name == "" {
		if slices.Contains(c.spec.Forbidden, call.Name) {
			return p.refuse(fmt.Sprintf("Refused: the %s may not use %s. Tools you have: %s.", c.spec.Role, call.Name, strings.Join(known, ", ")), "{}")
		}
		p.answer = failure("There is no tool %q. Tools you have: %s.", clip(call.Name, 60), strings.Join(known, ", "))
		return p
	}
	args, err := tool.ParseArgs(p.spec, call.Args)
	if err != nil {
		p.answer = failure("%s", err.Error())
		return p
	}
	p.args = args
	return p
}

// refuse has the host record that the call was refused, with arguments that are
// JSON whatever the model wrote.
func (p *planned) refuse(why, args string) *planned {
	p.denied, p.answer = why, &tool.Result{Status: tool.Denied, Text: why}
	if p.args = json.RawMessage(args); !json.Valid(p.args) {
		p.args, _ = json.Marshal(args)
	}
	return p
}

// control serves the tools that speak to the loop itself.
func (c *Conversation) control(h Host, step string, p *planned) (tool.Result, error) {
	switch p.spec.Name {
	case tool.NoteName:
		return decoded(p.args, func(a tool.NoteArgs) (tool.Result, error) {
			c.notes = append(c.notes, a.Text)
			return success("Noted."), nil
		})
	case tool.UpdatePlanName:
		return decoded(p.args, func(a tool.UpdatePlanArgs) (tool.Result, error) {
			var next mgx.Plan
			if c.plan != nil {
				next = *c.plan
			}
			next.Steps = a.Steps
			c.plan = &next
			return success("Plan updated."), h.Plan(step, next)
		})
	case tool.AskName:
		return decoded(p.args, func(a tool.AskArgs) (tool.Result, error) {
			if c.asks += len(a.Questions); c.asks > maxQuestions {
				return *failure("That would be more than %d questions in all. Decide, and say what you assumed when you finish.", maxQuestions), nil
			}
			answer, err := h.Ask(step, questionText(a.Questions))
			p.out.Label = &mgx.Label{Sources: []string{mgx.SourceUser}}
			return success(answer), err
		})
	}
	return success("Received."), nil
}

// decoded reads arguments that have passed their schema.
func decoded[A any](args json.RawMessage, f func(A) (tool.Result, error)) (tool.Result, error) {
	var a A
	if err := json.Unmarshal(args, &a); err != nil {
		return *failure("%s", err.Error()), nil
	}
	return f(a)
}

func questionText(questions []tool.Question) string {
	var b strings.Builder
	for i, q := range questions {
		if i > 0 {
			b.WriteString("\n")
		}
		b.WriteString(q.Text)
		for _, choice := range q.Choices {
			b.WriteString("\n  - " + choice)
		}
	}
	return b.String()
}

func success(text string) tool.Result { return tool.Result{Status: tool.Success, Text: text} }

func failure(format string, args ...any) *tool.Result {
	return &tool.Result{Status: tool.Failure, Text: fmt.Sprintf(format, args...)}
}

// stepWord makes a step name's last word from what a model wrote.
func stepWord(name string) string {
	word := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, strings.ToLower(name))
	return clip(word, 30)
}
