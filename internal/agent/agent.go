// Package agent runs one agent: ask a model, run the tools it calls, feed the
// results back, until the model finishes by calling the finish tool.
//
// The loop is one linear, append-only history and a pure function of what its
// [Host] returns: it reads no clock and keeps no state outside the
// conversation, so that the host can journal every turn and every call and
// replay them. What it promises:
//
//   - A history sent to a model is whole: every call has its result, in order.
//   - Compaction never touches the opening message (task, rules, plan) nor the
//     latest turns, and never parts a call from its result.
//   - It ends. Repetition, ping-pong, repeated errors and monologue first earn a
//     warning, then end the run with the reason; so do limits.
//   - A call to a tool the role does not have is refused, and the model hears so.
package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/tool"
)

// Host makes the loop durable. Each method is one recorded step under the given
// name, unique in the host; an error ends the loop and is returned from it.
type Host interface {
	// Turn makes one call to a model.
	Turn(step string, req *llm.Request) (*llm.Response, error)
	// Call runs one tool call and returns the state of the files after it.
	Call(step string, c Call) (Outcome, error)
	// Each runs fn for 0 … n-1 at once, each with its own host.
	Each(n int, fn func(i int, h Host) error) error
	// Ask puts a question to a person and returns the answer. Where nobody can
	// be asked it says so in the answer.
	Ask(step, question string) (string, error)
	// Plan makes the plan known.
	Plan(step string, plan mgx.Plan) error
	// Heard returns what a person has said to the run since it was asked last. It is
	// asked before the turn of a step.
	Heard(turn string) ([]Said, error)
	// Warn tells people what the loop noticed about its agent.
	Warn(step, text string) error
}

// Call is one tool call, checked and ready to run; or refused.
type Call struct {
	ID           string
	Tool         tool.Tool
	Args         json.RawMessage
	Role         string
	Conversation string
	Label        mgx.Label // of all that the model had been given when it made the call
	Denied       string    // when set, do not run it: record the refusal with this sentence
	Name         string    // as the model wrote it
}

// Outcome is what a call did. Tree is the state of the files afterwards, empty
// when they cannot have changed. Label says where the result came from; without
// one it counts as untrusted and private.
type Outcome struct {
	Result tool.Result `json:"result"`
	Tree   string      `json:"tree,omitempty"`
	Label  *mgx.Label  `json:"label,omitempty"`
}

// Spec describes an agent.
type Spec struct {
	Role         string
	Conversation string  // unique name within the run
	Model        string  // provider/model
	System       string  // instructions
	Opening      []Piece // the first message: task, rules, environment; never compacted
	Tools        []tool.Tool
	Controls     []tool.Spec  // which of the loop's own tools: note, update_plan, ask
	Forbidden    []string     // tools that exist but not for this role: refused rather than unknown
	Plan         *mgx.Plan    // what the agent works to, when there is one
	Finish       tool.Spec    // its arguments are the agent's result
	Marks        guard.Marker // put around what is not to be trusted
	// Refuse, if set, looks at each call as the model wrote it, also of the loop's
	// own tools. A non-empty sentence refuses it: the host records that.
	Refuse func(args string) string
	// Accept, if set, judges a finish. A non-empty sentence sends the agent back
	// to work, at most twice.
	Accept func(args json.RawMessage, plan *mgx.Plan) string

	MaxTurns  int // of this conversation
	MaxOutput int // tokens of one answer
	Window    int // tokens the model can see; compaction keeps well below
}

// Limits of the loop that no setting changes.
const (
	maxRejections = 2 // finishes sent back
	maxEmpty      = 3 // empty or cut answers in a row
	maxBadCalls   = 3 // turns in a row in which no call could be run as written
	maxParallel   = 5 // read-only calls at once
	maxCalls      = 32
	maxQuestions  = 5
	maxTooLong    = 3 // times the provider says the history does not fit
)

// Conversation is one agent at work.
type Conversation struct {
	spec    Spec
	host    Host
	plan    *mgx.Plan
	history []llm.Message
	label   mgx.Label // of all that was ever in it
	turns   int
	asks    int
	notes   []string
	seen    watch
	prompt  int64 // tokens of the latest prompt and answer, as reported
	tooLong int
	compact int
}

// New opens a conversation.
func New(h Host, s Spec) *Conversation {
	c := &Conversation{spec: s, host: h, plan: s.Plan}
	c.say(s.Opening...)
	return c
}

// Say adds a message from the workflow, such as failing checks or a review.
func (c *Conversation) Say(pieces ...Piece) {
	c.say(pieces...)
	c.seen.reset()
}

// Turns is the number of model turns so far.
func (c *Conversation) Turns() int { return c.turns }

// Plan is the plan as the agent last left it; nil when there is none.
func (c *Conversation) Plan() *mgx.Plan { return c.plan }

func (c *Conversation) say(pieces ...Piece) {
	part := c.together(pieces)
	c.label = c.label.Join(*part.Label)
	if n := len(c.history); n > 0 && c.history[n-1].Role == llm.User {
		last := &c.history[n-1]
		last.Parts = append(slices.Clone(last.Parts), part)
		return
	}
	c.history = append(c.history, llm.Message{Role: llm.User, Parts: []llm.Part{part}})
}

func (c *Conversation) step(what string) string {
	return fmt.Sprintf("%s/%03d/%s", c.spec.Conversation, c.turns, what)
}

// Run lets the agent work until it finishes and returns the arguments of its
// finish call.
func (c *Conversation) Run() (json.RawMessage, error) {
	var empty, bad, rejected int
	for {
		if c.turns >= c.spec.MaxTurns {
			return nil, ended("turn_limit", "the %s used its %d turns without finishing; raise --max-turns or make the task smaller", c.spec.Role, c.spec.MaxTurns)
		}
		resp, err := c.ask()
		if err != nil {
			return nil, err
		}
		calls := callsOf(resp.Message)
		if err := refused(resp); err != nil {
			return nil, err
		}
		c.history = append(c.history, labelled(resp.Message, c.label))
		if len(calls) == 0 {
			if textOf(resp.Message) == "" || resp.Finish == llm.FinishLength {
				if empty++; empty >= maxEmpty {
					return nil, ended("model_empty", "the model gave %d empty or cut answers in a row", empty)
				}
			}
			if err := c.nudge(resp); err != nil {
				return nil, err
			}
			continue
		}
		empty = 0

		batch, err := c.act(calls)
		if err != nil {
			return nil, err
		}
		c.history = append(c.history, batch.message)
		if batch.runnable > 0 {
			bad = 0
		} else if bad++; bad >= maxBadCalls {
			return nil, ended("model_malformed", "the model's tool calls could not be understood %d turns in a row: %s", bad, batch.firstError)
		}
		if batch.finish != nil {
			why := ""
			if c.spec.Accept != nil && rejected < maxRejections {
				why = c.spec.Accept(batch.finish, c.plan)
			}
			if why == "" {
				return batch.finish, nil
			}
			rejected++
			c.say(Piece{Text: "Not finished yet: " + why, Label: c.label})
		}
		if err := c.supervise(batch); err != nil {
			return nil, err
		}
	}
}

// ask makes one model call, compacting first where the history has grown, and
// again when the provider says that it does not fit.
func (c *Conversation) ask() (*llm.Response, error) {
	c.turns++
	step := c.step("turn")
	if err := c.hear(step); err != nil {
		return nil, err
	}
	if err := c.shrink(c.spec.Window * 6 / 10); err != nil {
		return nil, err
	}
	for {
		resp, err := c.host.Turn(step, c.request())
		if err == nil {
			c.prompt = resp.Usage.Total()
			return resp, nil
		}
		if !mgx.IsCode(err, CodeTooLong) || c.tooLong >= maxTooLong {
			return nil, err
		}
		c.tooLong++
		step = c.step(fmt.Sprintf("turn-again-%d", c.tooLong))
		if err := c.shrink(estimate(c.history) / 2); err != nil {
			return nil, err
		}
	}
}

// hear adds what a person has said meanwhile. Whoever is told something new is not
// stuck.
func (c *Conversation) hear(turn string) error {
	all, err := c.host.Heard(turn)
	if err != nil {
		return err
	}
	for _, said := range all {
		c.Say(said.Pieces()...)
	}
	return nil
}

// Said is what a person said while a run was under way, and whose words are in it.
type Said struct {
	Text  string
	Label mgx.Label
}

// Pieces are what hands it on.
func (s Said) Pieces() []Piece {
	return []Piece{
		own("The person who gave the task says now:\n"),
		{What: "message", Text: s.Text, Label: s.Label},
		own("\n"),
	}
}

// CodeTooLong is the code of a host's error for a history that does not fit the model.
const CodeTooLong = "context_length"

func (c *Conversation) request() *llm.Request {
	req := &llm.Request{
		Model:        c.spec.Model,
		System:       c.spec.System,
		Messages:     c.marked(llm.Repair(c.history)),
		MaxTokens:    c.spec.MaxOutput,
		AgentRole:    c.spec.Role,
		Conversation: c.spec.Conversation,
	}
	req.Label = c.labelOf(req.Messages)
	for _, t := range c.spec.Tools {
		s := t.Spec()
		req.Tools = append(req.Tools, llm.ToolSpec{Name: s.Name, Description: s.Description, Schema: s.Schema})
	}
	for _, s := range c.controls() {
		req.Tools = append(req.Tools, llm.ToolSpec{Name: s.Name, Description: s.Description, Schema: s.Schema})
	}
	return req
}

// controls are the tools that the loop serves itself.
func (c *Conversation) controls() []tool.Spec {
	return append(slices.Clone(c.spec.Controls), c.spec.Finish)
}

// nudge answers a turn without tool calls.
func (c *Conversation) nudge(resp *llm.Response) error {
	switch {
	case resp.Finish == llm.FinishLength:
		c.say(own("Your answer was cut at the length limit. Go on in smaller pieces: one tool call at a time."))
	case textOf(resp.Message) == "":
		c.say(own("Your answer was empty. Call a tool, or call " + c.spec.Finish.Name + " if the work is complete."))
	default:
		c.say(own("You described something but called no tool, so nothing happened. Act by calling tools; when the work is complete, call " + c.spec.Finish.Name + "."))
	}
	return c.judge(c.seen.monologue())
}

func refused(resp *llm.Response) error {
	switch resp.Finish {
	case llm.FinishRefusal:
		return ended("model_refused", "the model declined: %s", clip(textOf(resp.Message), 300))
	case llm.FinishFilter:
		return ended("model_filtered", "the provider withheld the model's answer by its content filter")
	}
	return nil
}

func ended(code, format string, args ...any) *mgx.Error {
	return mgx.Errorf(mgx.KindGoal, code, format, args...)
}

func callsOf(m llm.Message) []llm.ToolCall {
	var calls []llm.ToolCall
	for _, p := range m.Parts {
		if p.Call != nil {
			calls = append(calls, *p.Call)
		}
	}
	return calls
}

func textOf(m llm.Message) string {
	var b strings.Builder
	for _, p := range m.Parts {
		b.WriteString(p.Text)
	}
	return strings.TrimSpace(b.String())
}

func clip(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
