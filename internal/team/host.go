package team

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/git"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// host journals an agent's turns and calls as steps of the run's workflow.
type host struct {
	c        *workflow.Context
	r        *run
	readOnly bool
	branch   *branch // of several at once; nil outside of those
}

// turnInput is what a turn decides: everything that the model will read. The
// model's name is not part of it, so that a fork can continue with another.
type turnInput struct {
	System   string        `json:"system"`
	Messages []llm.Message `json:"messages"`
	Tools    []string      `json:"tools"`
}

func (h host) Turn(step string, req *llm.Request) (*llm.Response, error) {
	if err := h.r.mayTurn(); err != nil {
		return nil, err
	}
	h.r.saw(req.Conversation, req.Label)
	in := turnInput{System: req.System, Messages: req.Messages}
	for _, t := range req.Tools {
		in.Tools = append(in.Tools, t.Name)
	}
	resp, err := workflow.Step(h.c, step, in, func(s *workflow.StepContext) (*llm.Response, error) {
		return h.call(s, req)
	})
	if err != nil {
		return nil, err
	}
	h.r.countTurn(resp.Usage)
	h.r.workedOn(req.Conversation, resp.Route)
	return resp, nil
}

// call makes the model call of a turn and emits what came of it.
func (h host) call(s *workflow.StepContext, req *llm.Request) (*llm.Response, error) {
	acct := &account{step: s, cap: h.r.in.Settings.Budget}
	said := h.r.hides.Stream(func(text string) { h.r.watch(s.Scope().Run, Delta{Agent: req.AgentRole, Text: text}) })
	res, err := h.r.deps.Model.Call(s, h.r.forRouter(s.Scope(), req), acct, func(c llm.Chunk) {
		if c.Restart {
			said.Reset()
			h.r.watch(s.Scope().Run, Delta{Agent: req.AgentRole, Again: true})
		}
		if c.Failed != "" {
			h.r.watch(s.Scope().Run, Delta{Agent: req.AgentRole, Failed: h.r.hides.String(c.Failed)})
		}
		said.Write(c.Text)
	})
	said.Close()
	if res != nil {
		for _, e := range res.Errors {
			s.Emit(h.event(s, req, mgx.LLMProviderError, e))
		}
		for _, f := range res.Fallbacks {
			f.Step = s.Name()
			s.Emit(h.event(s, req, mgx.LLMProviderFallback, f))
		}
	}
	if err != nil {
		h.log(s, req.Conversation).WarnContext(s, "model call failed", "model", req.Model, "attempts", attempts(res), "error", err)
		return nil, err
	}
	h.log(s, req.Conversation).InfoContext(s, "model call", "model", req.Model, "duration", res.Duration,
		"prompt", res.Response.Usage.Prompt, "completion", res.Response.Usage.Completion, "cost", res.Cost.String(), "finish", res.Response.Finish)
	if res.Settlement.ID != "" {
		res.Settlement.ID = acct.full(res.Settlement.ID)
		s.Settle(res.Settlement)
	}
	usage := res.Response.Usage
	s.Emit(
		h.event(s, req, mgx.LLMCallCompleted, mgx.LLMCallData{
			Provider: res.Response.Provider, Model: res.Response.Model, AgentRole: req.AgentRole,
			Usage: usage, CostUSD: res.Cost, PriceKnown: res.PriceKnown, PriceVersion: res.PriceVersion,
			DurationMS: res.Duration.Milliseconds(), FirstTokenMS: res.FirstToken.Milliseconds(),
			Finish: string(res.Response.Finish), Attempts: res.Attempts, Step: s.Name(), Cached: res.Cached, Routing: llm.Recorded(res.Decision),
			Label: &req.Label,
		}),
		h.event(s, req, mgx.AgentMessage, h.r.message(req, res.Response)),
	)
	return res.Response, nil
}

// forRouter is a request with what decides where it goes: whose it is, how large
// the task is, and which model the conversation is on, which is known from the
// journal, so that it stays there in another process too.
func (r *run) forRouter(scope mgx.Scope, req *llm.Request) *llm.Request {
	own := *req
	own.Workspace, own.Run, own.TaskSize = scope.Workspace, scope.Run, r.size
	r.mu.Lock()
	defer r.mu.Unlock()
	own.Prefer = r.routes[req.Conversation]
	return &own
}

func (r *run) workedOn(conversation, route string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.routes == nil {
		r.routes = map[string]string{}
	}
	r.routes[conversation] = route
}

func attempts(res *llm.Result) int {
	if res == nil {
		return 0
	}
	return res.Attempts
}

// log is the run's log with the ids of one step of one agent.
func (h host) log(s *workflow.StepContext, agent string) *slog.Logger {
	scope := s.Scope()
	return h.r.deps.Log.With("workspace_id", scope.Workspace, "task_id", scope.Task, "run_id", scope.Run,
		"step", s.Name(), "agent_id", agentID(agent), "trace_id", scope.Run.TraceID())
}

func agentID(conversation string) mgx.AgentID { return mgx.AgentID("agent_" + conversation) }

func (h host) event(s *workflow.StepContext, req *llm.Request, typ mgx.EventType, data any) mgx.Event {
	e := s.Scope().Event(typ, data)
	e.Agent = agentID(req.Conversation)
	return e
}

func (r *run) message(req *llm.Request, resp *llm.Response) mgx.AgentMessageData {
	m := mgx.AgentMessageData{
		Role: string(llm.Assistant), AgentRole: req.AgentRole, Conversation: req.Conversation,
		Index: len(req.Messages), Tokens: &resp.Usage, Label: &req.Label,
	}
	for _, p := range resp.Message.Parts {
		m.Text += p.Text
		if p.Call != nil {
			m.ToolCalls = append(m.ToolCalls, p.Call.Name)
		}
	}
	m.Text = r.bounded(m.Text, 32<<10)
	return m
}

// account reserves and settles under ids that no earlier attempt, of this
// process or of one that died, can have used.
type account struct {
	step *workflow.StepContext
	cap  *mgx.Money
	nth  map[string]string
}

func (a *account) Capped() bool { return a.cap != nil }

func (a *account) Reserve(s llm.Spend) error {
	if a.nth == nil {
		a.nth = map[string]string{}
	}
	a.nth[s.ID] = mgx.NewID[string]("rsv")
	return a.step.Reserve(mgx.Reservation{
		ID: a.nth[s.ID], Amount: s.Amount, Cap: a.cap, Note: a.step.Name() + ": " + s.Note,
		Provider: s.Provider, Model: s.Model, Role: s.Role, PriceVersion: s.PriceVersion, Unpriced: !s.PriceKnown,
	})
}

func (a *account) SettleNow(s mgx.Settlement) error {
	s.ID = a.full(s.ID)
	return a.step.SettleNow(s)
}

func (a *account) full(id string) string { return a.nth[id] }

// callInput is what a tool call decides.
type callInput struct {
	Name   string          `json:"name"`
	Args   json.RawMessage `json:"args"`
	Denied string          `json:"denied,omitempty"`
}

func (h host) called(call agent.Call) mgx.ToolCallData {
	return mgx.ToolCallData{
		CallID: call.ID, Name: call.Name, Effect: effectOf(call), AgentRole: call.Role,
		Arguments: bounded(h.r.hides.String(string(call.Args)), 64<<10), Summary: summary(call, h.r.hides),
		SandboxLevel: string(h.r.site.Box.Level()), SandboxID: string(h.c.Scope().Run),
		Conversation: call.Conversation, Label: new(h.label(call.Conversation)),
	}
}

// summary says what a call is about, without secrets; also without the beginning of one,
// where it is cut.
func summary(call agent.Call, known *guard.Redactor) string {
	return known.Cut(known.String(tool.Summary(call.Name, call.Args)))
}

// effectOf is the effect of a tool, also of a built-in one that is refused.
func effectOf(call agent.Call) string {
	if call.Tool != nil {
		return string(call.Tool.Spec().Effect)
	}
	tools, err := tool.ByName([]string{call.Name})
	if err != nil {
		return ""
	}
	return string(tools[0].Spec().Effect)
}

// unkept takes back what a call did, if the checkpoint failed because that is more than
// the run may keep. Who heard of that limit while the call ran is not told again.
func (h host) unkept(s *workflow.StepContext, call agent.Call, out *agent.Outcome, err error) error {
	full, ok := errors.AsType[git.Full](err)
	if !ok {
		return err
	}
	if reached := sandbox.Reached(full); reached.Limit != out.Result.Limit.Limit {
		emitLimit(s, mgx.LimitReachedData{CallID: call.ID, ExitCode: out.Result.ExitCode}, reached)
		out.Result.Text += "\n" + tool.LimitHint(reached)
	}
	out.Result.Status, out.Tree = tool.Failure, h.r.tree
	out.Result.Text += "\nWhat every call changes is kept, and this is more than there is room for: all files are as they were before it."
	return h.r.site.Clone.Restore(s, h.r.tree)
}

func (h host) runTool(s *workflow.StepContext, call agent.Call, p permit) (agent.Outcome, error) {
	var out agent.Outcome
	start := time.Now()
	if call.Denied != "" {
		out.Result, out.Label = tool.Result{Status: tool.Denied, Text: call.Denied}, &mgx.Label{}
		if h.r.canary().In(string(call.Args)) {
			s.Emit(h.r.leaked(s.Scope(), call.Name+" called by the "+call.Role))
		}
	} else {
		out.Label = new(labelOf(call.Tool.Spec()).Join(h.r.inFiles()).Join(h.r.besides()))
		ws := h.r.site.Files
		ws.ReadOnly = h.readOnly || h.r.sealed()
		ws.Step = s.Name()
		ws.Redact = h.r.hides
		ws.Watch = func(b []byte) { h.r.watch(s.Scope().Run, Delta{Agent: call.Role, Tool: string(b)}) }
		var err error
		out.Result, err = h.confined(s, call, p, &ws)
		h.r.emitNetwork(s, mgx.NetworkUsedData{CallID: call.ID}, out.Result.Visits, p.by)
		emitLimit(s, mgx.LimitReachedData{CallID: call.ID, ExitCode: out.Result.ExitCode}, out.Result.Limit)
		out.Label = new(withHosts(*out.Label, out.Result.Visits))
		if err != nil {
			return out, err
		}
		if effect := call.Tool.Spec().Effect; !ws.ReadOnly && (effect == tool.Write || effect == tool.Execute) {
			if out.Tree, err = h.r.site.Clone.Checkpoint(s); err != nil {
				err = h.unkept(s, call, &out, err)
			}
			if err != nil {
				return out, err
			}
		}
	}
	out.Result.Text = h.r.hides.Cut(h.r.hides.String(out.Result.Text))
	out.Result.Duration = time.Since(start)
	h.log(s, call.Role).InfoContext(s, "tool call", "tool", call.Name, "status", out.Result.Status, "duration", out.Result.Duration)
	s.Emit(s.Scope().Event(mgx.ToolReturned, mgx.ToolResultData{
		CallID: call.ID, Name: call.Name, Status: string(out.Result.Status), DurationMS: out.Result.Duration.Milliseconds(),
		Output: bounded(out.Result.Text, 64<<10), ExitCode: out.Result.ExitCode, Tree: out.Tree, Label: out.Label,
	}))
	if out.Label != nil && out.Label.Untrusted {
		h.r.suspect(s, out.Result.Text, "The output of "+call.Name, call.ID)
	}
	return out, nil
}

func (h host) Each(n int, fn func(i int, h agent.Host) error) error {
	branches := make([]func(*workflow.Context) error, n)
	lines := make([]branch, n)
	for i := range n {
		branches[i] = func(c *workflow.Context) error {
			mine := h
			mine.c, mine.branch = c, &lines[i]
			return fn(i, mine)
		}
	}
	defer func() {
		for _, l := range lines {
			for _, g := range l.grants {
				h.allowRest(g)
			}
		}
	}()
	if !h.r.in.Settings.InOrder {
		return workflow.Parallel(h.c, branches...)
	}
	for _, branch := range branches {
		if err := workflow.Parallel(h.c, branch); err != nil {
			return err
		}
	}
	return nil
}

const nobody = "Nobody can be asked in this run. Decide yourself, choose what is easiest to undo, and say what you assumed when you finish."

func (h host) Ask(step, question string) (string, error) {
	if h.r.in.Settings.Approve != "ask" {
		return nobody, nil
	}
	question = h.r.fitText(question)
	d, err := h.r.decide(h.c, step, QuestionPrefix+h.r.bounded(question, 4000), hash(question), nil)
	if err != nil {
		return "", err
	}
	if !d.Approved && d.Reason == "" {
		return nobody, nil
	}
	return d.Reason, nil
}

func (h host) Plan(step string, plan mgx.Plan) error {
	plan = h.r.fitPlan(plan)
	if err := h.r.publishPlan(h.c, step, plan); err != nil {
		return err
	}
	return h.r.replanned(plan)
}

func (h host) Warn(step, text string) error {
	return workflow.Record(h.c, step, h.c.Scope().Event(mgx.RunNoted, mgx.NotedData{Level: "warning", Text: h.r.bounded(text, 4000)}))
}

// Decision is the payload of the signal that answers an approval or a question.
type Decision struct {
	Approved bool   `json:"approved"`
	By       string `json:"by"`
	Reason   string `json:"reason"`         // why not, or the answer to a question
	Hash     string `json:"hash"`           // of what was proposed when the person decided
	Rest     bool   `json:"rest,omitempty"` // allow the same for the rest of the run

	// Of a delivery: not as it is. The team changes its work and asks again.
	Changes bool   `json:"changes,omitempty"`
	Remarks string `json:"remarks,omitempty"` // what was said about lines of it
}

// decide asks a person and waits, holding nothing, for the decision. One that
// was made on something else than what is proposed is refused.
// The call is the one that is proposed, if one is.
func (r *run) decide(c *workflow.Context, step, effect, hash string, call *mgx.ProposedCall) (Decision, error) {
	id := approvalID(step)
	err := workflow.Record(c, step+"/request", c.Scope().Event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: id, Effect: effect, Hash: hash, Call: call}))
	if err != nil {
		return Decision{}, err
	}
	d, err := workflow.Await[Decision](c, id, 0)
	if err != nil {
		return d, err
	}
	if d.Hash != hash {
		d = Decision{By: d.By, Hash: hash, Reason: "the decision was made on something other than what is proposed now"}
	}
	return d, r.decided(c, step, id, d, call)
}

// approvalID names the approval that a step asks for.
func approvalID(step string) string { return "decision/" + step }

func (r *run) decided(c *workflow.Context, step, id string, d Decision, call *mgx.ProposedCall) error {
	return workflow.Record(c, step+"/decided", c.Scope().Event(mgx.ApprovalDecided, mgx.ApprovalDecidedData{
		ApprovalID: id, Approved: d.Approved, By: d.By, Reason: d.Reason, Hash: d.Hash, Rest: d.Rest && d.Approved && call != nil, Changes: d.Changes && !d.Approved,
	}))
}

func (r *run) publishPlan(c *workflow.Context, step string, plan mgx.Plan) error {
	r.currentPlan = planHash(plan)
	return workflow.Record(c, step, c.Scope().Event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: planHash(plan)}))
}

// planHash covers what an approval is about: goal, steps and files, not progress.
func planHash(p mgx.Plan) string {
	parts := append([]string{p.Goal}, p.Files...)
	for _, s := range p.Steps {
		parts = append(parts, s.Text)
	}
	return hash(parts...)
}

func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d\x00%s", len(p), p)
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// bounded cuts a text for an event, saying so, after secrets have gone out of it: what
// is left of one that was cut in two nobody recognises.
func (r *run) bounded(s string, max int) string { return bounded(r.hides.String(s), max) }

// bounded cuts a text that has no secrets, saying so.
func bounded(s string, max int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= max {
		return s
	}
	return strings.ToValidUTF8(s[:max], "") + fmt.Sprintf("\n[… %d bytes more]", len(s)-max)
}

// ended makes the events that close a run's stream together with its execution.
func (d Deps) ended(ctx context.Context, x mgx.Execution) ([]mgx.Event, error) {
	row, err := d.Run(ctx, x.Workspace, x.Run)
	if err != nil {
		return nil, err
	}
	elapsed := mgx.Now().Sub(row.CreatedAt)
	switch {
	case x.Status == mgx.ExecDone:
		var result mgx.TaskResult
		if err := json.Unmarshal(x.Result, &result); err != nil {
			return nil, err
		}
		return []mgx.Event{x.Event(mgx.TaskCompleted, mgx.TaskCompletedData{
			DurationMS: elapsed.Milliseconds(), Tokens: row.Usage, CostUSD: row.Cost, Result: result,
		})}, nil
	case x.Failure == nil:
		return nil, errors.New("an execution that is not done has no failure")
	case x.Failure.Code == mgx.CodeCancelled:
		return []mgx.Event{x.Event(mgx.TaskCancelled, mgx.TaskCancelledData{Reason: x.CancelWhy, By: "user"})}, nil
	}
	f := x.Failure
	return []mgx.Event{x.Event(mgx.TaskFailed, mgx.TaskErrorData{
		ErrorType: errorType(f), Kind: f.Kind, Code: f.Code, Message: bounded(d.redactor(x.Workspace).String(f.Message), 4000), Fatal: true,
		LastStep: row.Phase, SuggestedActions: suggestions(f),
	})}, nil
}

func errorType(f *mgx.Error) string {
	switch f.Kind {
	case mgx.KindGoal:
		return "goal_not_reached"
	case mgx.KindProvider:
		if strings.Contains(f.Code, "auth") {
			return "authentication_error"
		}
		return "llm_error"
	case mgx.KindBudget:
		return "quota_exceeded"
	case mgx.KindRefused:
		return "permission_error"
	case mgx.KindStopped:
		return "timeout"
	case mgx.KindUsage, mgx.KindConfig:
		return "validation_error"
	}
	return "internal_error"
}

func suggestions(f *mgx.Error) []string {
	switch {
	case f.Code == "checks_failed":
		return []string{"look at the branch and the failing output with mgx show and mgx diff", "fork the run with another model"}
	case f.Code == "token_limit":
		return []string{"fork the run with a larger --max-tokens"}
	case f.Code == "price_unknown":
		return []string{"give the run its price with --price IN,OUT, or let it go without a budget"}
	case f.Kind == mgx.KindBudget:
		return []string{"see how the budget stands with mgx budget show", "raise it with mgx budget set, or fork the run with a larger --budget"}
	case f.Code == "turn_limit":
		return []string{"fork the run with a larger --max-turns"}
	case f.Code == "replay_mismatch":
		return []string{"undo what changed since the recording, or record the run again"}
	case f.Kind == mgx.KindProvider:
		return []string{"check the provider with mgx models, then fork the run at its last event"}
	}
	return nil
}

// QuestionPrefix begins the effect of a decision that is an answer in words.
const QuestionPrefix = "answer a question: "
