package team

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/guard"
	"mgx/internal/guard/policy"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// run is one pass of the workflow function over its journal. What it holds is
// either the input or follows from recorded steps, so that a replay arrives at
// the same.
type run struct {
	c     *workflow.Context
	deps  Deps
	in    Input
	hides *guard.Redactor // of the secrets of its workspace
	prep  prepared
	tree  string // the files as the last recorded step left them
	size  string // of the task, once it is sorted

	planned mgx.Label // of the plan, once there is one

	mu     sync.Mutex
	turns  int
	usage  mgx.Usage
	routes map[string]string    // by conversation: the model that answered last
	labels map[string]mgx.Label // by conversation: of all that its models were given

	rules        policy.Policy
	policyHash   string
	grants       map[string]string // what a person allowed for the rest of the run, and in which approval
	told         []agent.Said      // what people have said to the run
	without      []string          // step and reason of a call that the run had to do without
	approvedPlan string            // hash of the plan that was approved last
	currentPlan  string            // hash of the plan as it stands
	replans      int               // plans that were changed after they were approved
	files        mgx.Label         // of what was written into the files

	known sync.Once
	bird  guard.Canary

	site    *Site  // only when steps really run
	process string // names this process's work on the run, likewise
}

// open prepares this process to do work on the run's files: they become what the
// last recorded step left, whatever a crash interrupted.
func (r *run) open(ctx context.Context) error {
	if len(r.in.Settings.MCP) > 0 {
		r.process = mgx.NewID[string]("try")
	}
	if r.site != nil || r.in.Repo.Path == "" {
		return nil
	}
	site, err := r.deps.Open(ctx, r.c.Scope(), r.in.Repo, r.in.Settings)
	if err != nil {
		return err
	}
	r.site = site
	if r.tree != "" {
		return site.Clone.Restore(ctx, r.tree)
	}
	return nil
}

func (r *run) close() {
	if r.site == nil {
		return
	}
	if r.site.Outside != nil {
		r.site.Outside.Close()
	}
	r.site.Box.Close()
}

func (r *run) watch(id mgx.RunID, d Delta) {
	if r.deps.Deltas != nil {
		d.Workspace, d.Task = r.c.Scope().Workspace, r.c.Scope().Task
		r.deps.Deltas(id, d)
	}
}

// mayTurn holds the run to its limits on turns and tokens.
func (r *run) mayTurn() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.in.Settings
	if s.MaxTurns > 0 && r.turns >= s.MaxTurns {
		return mgx.Errorf(mgx.KindGoal, "turn_limit", "the run used its %d model turns without reaching the goal; raise --max-turns or make the task smaller", s.MaxTurns)
	}
	if s.MaxTokens > 0 && r.usage.Total() >= s.MaxTokens {
		return mgx.Errorf(mgx.KindBudget, "token_limit", "the run used %d tokens, which is its limit", r.usage.Total())
	}
	return nil
}

// spent reports whether the run as a whole may make no further turn.
func (r *run) spent() bool { return r.mayTurn() != nil }

func (r *run) countTurn(u mgx.Usage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turns++
	r.usage = r.usage.Add(u)
}

func (r *run) phase(name, note string) error {
	return workflow.Record(r.c, "phase/"+name, r.c.Scope().Event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: phaseOf(name), Note: note}))
}

// phaseOf takes the round off a phase's step name: "check-2" is phase check.
func phaseOf(name string) string {
	phase, _, _ := strings.Cut(name, "-")
	return phase
}

func (r *run) warn(step, format string, args ...any) error {
	return host{c: r.c, r: r}.Warn("note/"+step, fmt.Sprintf(format, args...))
}

// work is the story of a task, under the policy that it was started with.
func (r *run) work() (mgx.TaskResult, error) {
	var err error
	if r.rules, err = RulesOf(r.in.Settings); err != nil {
		return mgx.TaskResult{}, err
	}
	r.policyHash = r.rules.Hash()
	res, err := r.story()
	return res, r.blame(err)
}

func (r *run) story() (mgx.TaskResult, error) {
	var none mgx.TaskResult
	if err := r.prepare(); err != nil {
		return none, err
	}
	t, err := r.triage()
	if err != nil {
		return none, err
	}
	r.size = t.Size
	if t.Kind == "question" {
		return r.answer()
	}
	plan, err := r.plan(t)
	if err != nil {
		return none, err
	}
	if plan != nil && r.endsWithPlan() {
		return r.proposed(*plan)
	}
	return r.change(t, plan)
}

// cast is a conversation to open: who, under which name, with what to do.
type cast struct {
	role, name string
	opening    []agent.Piece
	finish     tool.Spec
	readOnly   bool
	plan       *mgx.Plan
	accept     func(args json.RawMessage, plan *mgx.Plan) string
	reads      bool // it is quarantined: see agent.NewReader
}

// agent opens a conversation in a role.
func (r *run) agent(a cast) (*agent.Conversation, error) {
	role, ok := r.prep.Roles[a.role]
	if !ok {
		return nil, mgx.Errorf(mgx.KindInternal, "unknown_role", "there is no role %q", a.role)
	}
	tools, controls, forbidden, err := r.offered(role, a.readOnly)
	if err != nil {
		return nil, err
	}
	if err := r.briefed(a.name+"/brief", a.name, a.role, a.opening); err != nil {
		return nil, err
	}
	marks := guard.NewMarker(r.prep.Secret, a.name)
	open := func(h agent.Host, s agent.Spec) (*agent.Conversation, error) { return agent.New(h, s), nil }
	if a.reads {
		open = agent.NewReader
	}
	return open(host{c: r.c, r: r, readOnly: a.readOnly}, agent.Spec{
		Role: a.role, Conversation: a.name, Model: r.in.Settings.Model,
		System: instructions(role, marks, r.canary()), Marks: marks, Refuse: r.refuse,
		Opening: a.opening, Plan: a.plan, Accept: a.accept,
		Tools: tools, Controls: controls, Forbidden: forbidden, Finish: a.finish,
		MaxTurns: role.Turns, MaxOutput: min(maxOutput, r.prep.Limits.Output), Window: r.prep.Limits.Window,
	})
}

// finished runs a conversation and reads what it finished with.
func finished[T any](r *run, c *agent.Conversation) (T, error) {
	var out T
	args, err := c.Run()
	if err != nil {
		return out, err
	}
	if args, err = r.fit(args); err != nil {
		return out, err
	}
	if err := json.Unmarshal(args, &out); err != nil {
		return out, mgx.Errorf(mgx.KindInternal, "bad_finish", "the finish call does not decode: %w", err)
	}
	return out, nil
}

// triage sorts the task. It is a quarantined reader: what it says of the repository
// decides what comes next, so it is a value or nothing. Of its title only a name for
// the branch is made, and a subject where the implementer has none; no model of the run is given it.
// A model that cannot sort the task leaves a medium change.
func (r *run) triage() (triaged, error) {
	if err := r.phase(mgx.PhaseTriage, ""); err != nil {
		return triaged{}, err
	}
	c, err := r.agent(cast{role: "triage", name: "triage", opening: r.opening("Sort this task."), finish: triageFinish, readOnly: true, reads: true})
	if err != nil {
		return triaged{}, err
	}
	t, err := finished[triaged](r, c)
	if mgx.IsCode(err, "turn_limit") && !r.spent() {
		return triaged{Kind: "change", Type: mgx.TypeCodeGeneration, Size: "M", Title: r.in.Task.Title}, nil
	}
	if err != nil {
		return triaged{}, err
	}
	return t, nil
}

// large reports whether a size asks for a plan and an approval.
func large(size string) bool { return slices.Contains([]string{"M", "L", "XL"}, size) }

// plan explores and plans, and has the plan approved, where size or settings ask
// for it. Without that the plan is nil.
func (r *run) plan(t triaged) (*mgx.Plan, error) {
	if !large(t.Size) && !r.planFirst() {
		return nil, nil
	}
	if err := r.phase(mgx.PhasePlan, "size "+t.Size); err != nil {
		return nil, err
	}
	c, err := r.agent(cast{role: "planner", name: "planner", opening: r.opening("Plan this task."), finish: planFinish, readOnly: true})
	if err != nil {
		return nil, err
	}
	p, err := finished[planned](r, c)
	if err != nil {
		return nil, err
	}
	r.planned = c.Label()
	plan := p.plan()
	if err := r.publishPlan(r.c, "plan/proposed", plan); err != nil {
		return nil, err
	}
	if r.endsWithPlan() {
		return &plan, nil
	}
	return &plan, r.approve(plan, "plan")
}

// approve has the plan decided: by policy, by a person, or not at all.
// The step names the approval: that of the first plan is "plan".
func (r *run) approve(plan mgx.Plan, step string) error {
	if err := r.phase(mgx.PhaseApproval+strings.TrimPrefix(step, "plan"), r.in.Settings.Approve); err != nil {
		return err
	}
	hash := planHash(plan)
	if err := r.approvedBy(plan, step, hash); err != nil {
		return err
	}
	r.approvedPlan = hash
	return nil
}

func (r *run) approvedBy(plan mgx.Plan, step, hash string) error {
	switch r.in.Settings.Approve {
	case "ask":
		d, err := r.decide(r.c, step, "implement the plan: "+r.bounded(plan.Goal, 1000), hash, nil)
		if err != nil {
			return err
		}
		if !d.Approved {
			return mgx.Errorf(mgx.KindRefused, "plan_rejected", "the plan was rejected by %s: %s", d.By, d.Reason)
		}
		return nil
	case "never":
		return mgx.Errorf(mgx.KindRefused, "approval_missing", "the plan needs an approval, and --approve never forbids asking for one; use --approve ask or auto")
	}
	return r.decided(r.c, step, "decision/"+step, Decision{Approved: true, By: "policy", Reason: "--approve auto", Hash: hash}, nil)
}

func (r *run) answer() (mgx.TaskResult, error) {
	if err := r.phase(mgx.PhaseImplement, "answering a question"); err != nil {
		return mgx.TaskResult{}, err
	}
	c, err := r.agent(cast{role: "answerer", name: "answerer", opening: r.opening("Answer this question."), finish: answerFinish, readOnly: true})
	if err != nil {
		return mgx.TaskResult{}, err
	}
	a, err := finished[struct{ Answer string }](r, c)
	if err != nil {
		return mgx.TaskResult{}, err
	}
	err = workflow.Record(r.c, "answered", r.c.Scope().Event(mgx.RunAnswered, mgx.AnsweredData{Answer: a.Answer}))
	return mgx.TaskResult{Kind: "answered", Answer: a.Answer}, err
}
