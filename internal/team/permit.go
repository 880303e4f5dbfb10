package team

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/guard"
	"mgx/internal/guard/policy"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// The policy at the tool call. It is decided when a call is about to be made and
// recorded with what came of it, so a replay decides nothing again. A call that a
// person has to be asked about ends its step without an effect; the run then waits,
// holding nothing, and a step of its own makes the call or refuses it. The approval
// is bound to the hash of tool, exact arguments, run and policy, and the call is
// decided on once more before it is made: files may lead elsewhere by then.

// permit is what was decided on one call.
type permit struct {
	rules    policy.Policy // with the links of the workspace followed
	facts    policy.Facts
	decision policy.Decision
	args     json.RawMessage // canonical
	hash     string          // that an approval is bound to
	grant    string          // key of "and the same for the rest of the run"
	rest     string          // that, in words
	by       string          // what allows the hosts beyond the run's: an approval, or the policy
}

// asked is a call that waits for a person.
type asked struct {
	Hash   string           `json:"hash"`
	Grant  string           `json:"grant"`
	Effect string           `json:"effect"`
	Call   mgx.ProposedCall `json:"call"`
	Does   string           `json:"does,omitempty"` // digest of all that it would do, of which the call shows some
}

// stands reports whether a call would still do what a person was asked about.
func (a asked) stands(p permit) bool {
	if a.Does == "" { // asked before there was a digest
		return slices.Equal(p.facts.Paths[:min(len(p.facts.Paths), 100)], a.Call.Paths) && p.hash == a.Hash
	}
	return p.does() == a.Does && p.hash == a.Hash
}

func (p permit) does() string {
	f := p.facts
	text, err := json.Marshal(policy.Facts{Effect: f.Effect, Outside: f.Outside, Command: f.Command, Hosts: f.Hosts, Paths: f.Paths})
	if err != nil {
		panic("team: " + err.Error()) // strings always encode
	}
	return policy.Digest(text)
}

// called is what the step of a call records.
type called struct {
	agent.Outcome
	Ask *asked `json:"ask,omitempty"`
	// Unanswered says why a person would have had to be asked, when none could be.
	Unanswered string `json:"unanswered,omitempty"`
}

// RulesOf reads the policy that a run was started with.
func RulesOf(s mgx.RunSettings) (policy.Policy, error) {
	if s.Policy == nil {
		p, _ := policy.Builtin(policy.Default)
		return p, nil
	}
	p, err := policy.Parse(s.Policy.Text)
	if err == nil && p.Hash() != s.Policy.Hash {
		err = mgx.Errorf(mgx.KindInternal, policy.CodeBadPolicy, "the policy that this run was started with is not what its hash says; start the run anew")
	}
	return p, err
}

// rulesHere is the policy with the links of the workspace followed, as they are now.
// What programs are kept from, a veil finds by itself.
func (r *run) rulesHere() policy.Policy {
	root := r.site.Files.Root
	if root == nil {
		return r.rules
	}
	return r.rules.Follow(func(name string) string {
		if real, err := tool.Resolve(root, name); err == nil {
			return real
		}
		return name
	})
}

// answerable reports whether a person can be asked in this run.
func (r *run) answerable() bool { return r.in.Settings.Approve == "ask" }

// permit decides on a call. It only looks.
func (h host) permit(call agent.Call) permit {
	if call.Denied != "" || call.Tool == nil {
		return permit{}
	}
	spec := call.Tool.Spec()
	ws := h.r.site.Files
	reach := tool.ReachOf(call.Tool, &ws, call.Args)
	p := permit{facts: policy.Facts{
		Tool: spec.Name, Effect: policy.Effect(spec.Effect), Role: call.Role,
		Paths: reach.Paths, Command: reach.Command, Hosts: reach.Hosts, Vague: reach.Vague,
		Label: h.label(call.Conversation), Outside: Beyond(h.r.in.Settings, spec.Name, policy.Effect(spec.Effect)), PlanOpen: h.r.planOpen(),
	}}
	if reach.Command != "" {
		p.facts.Hosts = h.r.hosts().Beyond(reach.Hosts)
		if reach.Bad == "" {
			reach.Bad = h.r.noGate(p.facts.Hosts)
		}
	}
	var err error
	if p.args, err = policy.Canonical(call.Args); err != nil {
		p.decision = policy.Decision{Verdict: policy.Deny, Rule: "(arguments)", Why: "the arguments cannot be read"}
		return p
	}
	if reach.Bad != "" {
		p.decision = policy.Decision{Verdict: policy.Deny, Rule: "(arguments)", Why: reach.Bad}
		return p
	}
	p.rules = h.r.rulesHere()
	p.decision, p.by = p.rules.Decide(p.facts), byPolicy
	p.hash = policy.Bind(spec.Name, p.args, h.c.Scope().Run, h.r.policyHash)
	p.grant, p.rest = policy.Grant(p.facts, p.args)
	if in := h.granted(p.grant); p.decision.Verdict == policy.Ask && in != "" {
		p.by = in
		p.decision = policy.Decision{Verdict: policy.Allow, Rule: "(granted for the rest of the run)", Why: "a person allowed " + p.rest + " for the rest of the run"}
	}
	return p
}

// propose is what a person is shown. Secrets are taken out before anything is cut;
// the digest is of what is really there.
func (p permit) propose(call agent.Call, known *guard.Redactor) *asked {
	about := summary(call, known)
	if about != "" {
		about = ": " + about
	}
	return &asked{Hash: p.hash, Grant: p.grant, Does: p.does(), Effect: bounded(fmt.Sprintf("call %s%s", p.facts.Tool, about), 1000), Call: mgx.ProposedCall{
		CallID: call.ID, Tool: p.facts.Tool, Effect: string(p.facts.Effect), AgentRole: call.Role,
		Arguments: bounded(known.String(string(p.args)), 64<<10), Digest: policy.Digest(p.args),
		Paths: p.facts.Paths[:min(len(p.facts.Paths), 100)], Hosts: p.facts.Hosts[:min(len(p.facts.Hosts), 100)],
		Rule: p.decision.Rule, Why: p.decision.Why, Rest: p.rest, Label: &p.facts.Label,
	}}
}

func (p permit) tell(d *mgx.ToolCallData) {
	d.Verdict, d.Rule, d.Why = string(p.decision.Verdict), bounded(p.decision.Rule, 2000), bounded(p.decision.Why, 1000)
}

func (h host) Call(step string, call agent.Call) (agent.Outcome, error) {
	if err := h.hold(step); err != nil {
		return agent.Outcome{}, err
	}
	in := callInput{Name: call.Name, Args: call.Args, Denied: call.Denied}
	call, err := h.once(step, call)
	if err != nil {
		return agent.Outcome{}, err
	}
	var p permit
	out, err := workflow.Step(h.c, step, in, func(s *workflow.StepContext) (called, error) {
		return h.tried(s, call, p)
	}, workflow.Before(func() []mgx.Event {
		p = h.permit(call)
		d := h.called(call)
		p.tell(&d)
		return []mgx.Event{h.c.Scope().Event(mgx.ToolCalled, d)}
	}))
	if err == nil && out.Ask != nil {
		out, err = h.answered(step, call, in, *out.Ask)
	}
	if err == nil && out.Tree != "" {
		h.r.tree = out.Tree
	}
	if err == nil && leaves(call, out.Outcome) {
		h.r.wrote(h.label(call.Conversation), labelIn(out.Outcome))
	}
	if err == nil && out.Unanswered != "" {
		h.r.wentWithout(step, out.Unanswered)
	}
	return out.Outcome, err
}

// tried makes a call, or does what its permit says instead.
func (h host) tried(s *workflow.StepContext, call agent.Call, p permit) (called, error) {
	d := p.decision
	switch {
	case d.Verdict == policy.Deny:
		out := h.refused(s, call, fmt.Sprintf("Refused by the policy of this run: %s. Nothing was done. Find another way, or finish and say what is missing.", d.Why))
		if d.Unanswered {
			out.Unanswered = d.Why
		}
		return out, nil
	case d.Verdict == policy.Ask && !h.r.answerable():
		out := h.refused(s, call, fmt.Sprintf("Refused: %s. A person would have to approve it, and nobody can be asked in this run. Nothing was done. Find another way, or finish and say what is missing.", d.Why))
		out.Unanswered = d.Why + "; a person has to approve it, and --approve " + h.r.in.Settings.Approve + " lets nobody be asked"
		return out, nil
	case d.Verdict == policy.Ask:
		return called{Ask: p.propose(call, h.r.hides)}, nil
	}
	out, err := h.runTool(s, call, p)
	return called{Outcome: out}, err
}

// refused records that a call was not made.
func (h host) refused(s *workflow.StepContext, call agent.Call, why string) called {
	call.Denied = why
	out, _ := h.runTool(s, call, permit{}) // a denied call does nothing that could fail
	return called{Outcome: out}
}

// answered waits for the person's decision on a call, and makes it or not.
func (h host) answered(step string, call agent.Call, in callInput, a asked) (called, error) {
	d, err := h.r.decide(h.c, step, a.Effect, a.Hash, &a.Call)
	if err != nil {
		return called{}, err
	}
	if d.Approved && d.Rest && h.r.proposedHere(call, a.Hash) {
		h.allowRest(grant{a.Grant, approvalID(step)})
	}
	if call, err = h.once(step+"/answered", call); err != nil {
		return called{}, err
	}
	type answer struct {
		callInput
		Approved bool   `json:"approved"`
		By       string `json:"by"`
		Reason   string `json:"reason"`
		Hash     string `json:"hash"`
	}
	return workflow.Step(h.c, step+"/answered", answer{in, d.Approved, d.By, d.Reason, d.Hash}, func(s *workflow.StepContext) (called, error) {
		if !d.Approved {
			out := h.refused(s, call, "Refused by a person"+because(d.Reason)+". Nothing was done. Find another way, or finish and say what is missing.")
			out.Unanswered = fmt.Sprintf("%s was refused by %s%s", a.Effect, d.By, because(d.Reason))
			return out, nil
		}
		p := h.permit(call)
		p.by = approvalID(step)
		switch {
		case p.decision.Verdict == policy.Deny && !p.decision.Unanswered:
			return h.refused(s, call, "Refused by the policy of this run: "+p.decision.Why+". Nothing was done."), nil
		case !a.stands(p):
			return h.refused(s, call, "Refused: what the call would touch is not what was approved any more. Nothing was done. Look again, then call it anew."), nil
		}
		out, err := h.runTool(s, call, p)
		return called{Outcome: out}, err
	})
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + bounded(reason, 2000)
}

// confined runs a call within what the policy keeps from programs, and says in its
// result what became of that.
func (h host) confined(s *workflow.StepContext, call agent.Call, p permit, ws *tool.Workspace) (tool.Result, error) {
	spec := call.Tool.Spec()
	if err := h.r.openGate(p, ws); err != nil {
		return tool.Result{}, err
	}
	if kept := p.rules.Kept(p.facts); spec.Source != "" || spec.Effect != tool.Execute || len(kept) == 0 {
		if len(kept) > 0 {
			ws.Hidden = (&veil{kept: kept}).hides
		}
		return call.Tool.Call(s, ws, call.Args)
	}
	v, err := h.r.veil(s, p.facts, ws.ReadOnly)
	if why, ok := errors.AsType[*cannotKeep](err); ok {
		return tool.Result{Status: tool.Denied, Text: "Refused by the policy of this run: " + why.why + ". Nothing was done."}, nil
	}
	if err != nil {
		return tool.Result{}, err
	}
	ws.Hidden, ws.Veil = v.hides, v.mounts
	res, err := call.Tool.Call(s, ws, call.Args)
	if err != nil {
		return res, err
	}
	return h.r.unveil(s, v, res)
}

// unseen says which paths MGX itself does not read out to agents.
func (r *run) unseen() func(string) bool {
	return (&veil{kept: r.rulesHere().Kept(policy.Facts{Tool: "list", Effect: policy.Read, PlanOpen: true})}).hides
}

// unveil puts right what programs did around what was kept from them.
func (r *run) unveil(ctx context.Context, v *veil, res tool.Result) (tool.Result, error) {
	made, moved, err := v.lifted(ctx, r.site.Files.Root)
	switch {
	case err != nil:
		return res, err
	case moved:
		res.Status = tool.Denied
		res.Text += "\n[refused by the policy of this run: the command moved a link that is kept from programs. All files are back as they were before it.]"
		return res, r.site.Clone.Restore(ctx, r.tree)
	case len(made) > 0:
		res.Text += fmt.Sprintf("\n[the policy of this run keeps programs from making %s: it was taken away again]", strings.Join(made[:min(len(made), 20)], ", "))
	}
	return res, nil
}

// Grants.

// grant is a key, and the approval in which a person gave it.
type grant struct{ key, in string }

// granted returns the approval in which a person allowed this; empty: in none.
func (h host) granted(key string) string {
	if h.branch != nil {
		for _, g := range h.branch.grants {
			if g.key == key {
				return g.in
			}
		}
	}
	return h.r.grants[key]
}

// proposedHere reports whether a call was proposed in this run, under its policy. A
// fork takes over what was answered in the run that it is of, and that person said
// what holds for the rest of that run.
func (r *run) proposedHere(call agent.Call, hash string) bool {
	args, err := policy.Canonical(call.Args)
	return err == nil && policy.Bind(call.Tool.Spec().Name, args, r.c.Scope().Run, r.policyHash) == hash
}

// allowRest notes a grant. In a branch beside others it holds for that branch
// until all have ended, so that what one may do does not hang on how fast another
// is.
func (h host) allowRest(g grant) {
	if h.branch != nil {
		h.branch.grants = append(h.branch.grants, g)
		return
	}
	if h.r.grants == nil {
		h.r.grants = map[string]string{}
	}
	h.r.grants[g.key] = g.in
}

// branch is one of several lines of calls at once.
type branch struct{ grants []grant }

// wentWithout notes that the run had to do without a call. Of several the first by
// the name of its step is told.
func (r *run) wentWithout(step, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.without == nil || step < r.without[0] {
		r.without = []string{step, why}
	}
}

// blame says of a goal that was not reached that something was refused on the way:
// then the run ends as refused, not as failed.
func (r *run) blame(err error) error {
	e, ok := errors.AsType[*mgx.Error](err)
	if !ok || e.Kind != mgx.KindGoal || r.without == nil {
		return err
	}
	return mgx.Errorf(mgx.KindRefused, "approval_missing", "%s. On the way a call was refused: %s", strings.TrimRight(e.Message, "."), r.without[1])
}

// DeliverTool names, in rules and in what a person is asked, the bringing of the
// run's own branch to the repository. No model can call it.
const DeliverTool = "deliver_branch"

// mayDeliver decides on the run's own branch; step names the approval where a person
// is asked. Who is asked may want changes first: that is no error.
func (w *work) mayDeliver(step, branch string) (Decision, error) {
	args, err := json.Marshal(map[string]string{"branch": branch, "commit": w.head, "base": w.prep.Base})
	if err != nil {
		return Decision{}, err
	}
	f := policy.Facts{Tool: DeliverTool, Effect: policy.Deliver, Own: true, PlanOpen: w.planOpen(), Label: w.author.Label().Join(w.inFiles())}
	d := w.rules.Decide(f)
	switch {
	case d.Verdict == policy.Allow:
		return Decision{Approved: true}, nil
	case d.Unanswered || d.Verdict == policy.Ask && !w.answerable():
		return Decision{}, mgx.Errorf(mgx.KindRefused, "approval_missing", "the branch is ready and was not delivered: %s, and nobody can be asked in this run; fork it with --approve ask", d.Why)
	case d.Verdict == policy.Deny:
		return Decision{}, mgx.Errorf(mgx.KindRefused, "policy_denied", "the branch is ready and was not delivered: %s", d.Why)
	}
	hash := policy.Bind(DeliverTool, args, w.c.Scope().Run, w.policyHash)
	answer, err := w.decide(w.c, step, "add the branch "+branch+" to the repository", hash, &mgx.ProposedCall{
		Tool: DeliverTool, Effect: string(policy.Deliver), Arguments: string(args), Digest: policy.Digest(args),
		Rule: d.Rule, Why: d.Why, Rest: "this branch", Label: &f.Label,
	})
	if err == nil && !answer.Approved && !answer.Changes {
		err = mgx.Errorf(mgx.KindRefused, "delivery_rejected", "the branch was not delivered: %s refused it%s", answer.By, because(answer.Reason))
	}
	return answer, err
}

// The plan.

// planFirst reports whether nothing may be written before a plan is approved.
func (r *run) planFirst() bool { return r.rules.Plans() || r.in.Settings.Plan }

// planOpen reports whether the plan, as it stands, is not approved; also while
// there is none.
func (r *run) planOpen() bool { return r.approvedPlan == "" || r.approvedPlan != r.currentPlan }

// sealed reports whether programs get the files read-only.
func (r *run) sealed() bool { return r.planFirst() && r.planOpen() }

// endsWithPlan reports whether the run's result is its plan: its policy wants one
// approved, and nobody can be asked.
func (r *run) endsWithPlan() bool { return r.rules.Plans() && !r.answerable() }

// proposed ends a run with its plan.
func (r *run) proposed(plan mgx.Plan) (mgx.TaskResult, error) {
	answer := agent.PlanText(plan)
	err := workflow.Record(r.c, "answered", r.c.Scope().Event(mgx.RunAnswered, mgx.AnsweredData{Answer: answer}))
	return mgx.TaskResult{Kind: "answered", Answer: answer}, err
}

// replanned has a plan that an agent changed approved again, where nothing may be
// done without one.
func (r *run) replanned(plan mgx.Plan) error {
	if !r.sealed() {
		return nil
	}
	r.replans++
	return r.approve(plan, fmt.Sprintf("plan-%d", r.replans+1))
}
