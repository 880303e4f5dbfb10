package team

import (
	"encoding/json"
	"errors"
	"fmt"

	"mgx"
	"mgx/internal/guard/policy"
	"mgx/internal/workflow"
)

// The policy at a check. What a check runs the repository says, and agents may have
// written it, so it is decided on like a call: by the same rules, in the step that runs
// it, as in permit.go. But a check runs again after each change, so a person who is
// asked answers for its command in this run; and one who named it with the run has.

// CheckTool names, in rules and in what a person is asked, the running of a check. No
// model can call it.
const CheckTool = "check"

// refused is the status of a check that the policy, or a person, did not let run.
const refused = "refused"

// checked is what the step of a check records.
type checked struct {
	mgx.CheckResult
	Ask   *asked     `json:"ask,omitempty"`
	Label *mgx.Label `json:"label,omitempty"` // of its output; nil where it did not run, and in journals from before there was one
}

// check runs a check, or says that it may not run, once who has to be asked has
// answered.
func (w *work) check(step string, c Check, last bool) (checked, error) {
	in := []string{c.Command, w.tree}
	out, err := workflow.Step(w.c, step, in, func(s *workflow.StepContext) (checked, error) { return w.tryCheck(s, c, last) })
	if err != nil || out.Ask == nil {
		return out, err
	}
	d, err := w.decide(w.c, step, out.Ask.Effect, out.Ask.Hash, &out.Ask.Call)
	if err != nil {
		return checked{}, err
	}
	if w.answered == nil {
		w.answered = map[string]Decision{}
	}
	w.answered[c.Command] = d
	return workflow.Step(w.c, step+"/answered", append(in, d.Hash, fmt.Sprint(d.Approved)), func(s *workflow.StepContext) (checked, error) { return w.tryCheck(s, c, last) })
}

// tryCheck runs a check, or does what its permit says instead. Then, or after the last
// of a round, the files are put back: a check judges the change and is no part of it.
func (w *work) tryCheck(s *workflow.StepContext, c Check, last bool) (checked, error) {
	f := w.checkFacts(c)
	d := w.rules.Decide(f)
	answer, answered := w.answered[c.Command]
	if d.Verdict == policy.Ask && !answered && w.answerable() {
		return w.askCheck(c, f, d)
	}
	why := ""
	switch {
	case d.Verdict == policy.Deny:
		why = "The policy of this run refuses it: " + d.Why + "."
	case d.Verdict == policy.Ask && !answered:
		why = "A person has to approve it (" + d.Why + "), and nobody can be asked in this run."
	case d.Verdict == policy.Ask && !answer.Approved:
		why = answer.By + " refused it" + because(answer.Reason) + "."
	}
	if why != "" {
		out := checked{CheckResult: mgx.CheckResult{Name: c.Name, Command: c.Command, Status: refused, ExitCode: -1, Output: "It was not run. " + why}}
		if last {
			return out, w.site.Clone.Restore(s, w.tree)
		}
		return out, nil
	}
	v, err := w.veil(s, f, false)
	if why, ok := errors.AsType[*cannotKeep](err); ok {
		err = mgx.Errorf(mgx.KindRefused, "policy_not_kept", "the checks cannot run: %s", why.why)
	}
	if err != nil {
		return checked{}, err
	}
	res, err := w.runCheck(s, c, v.over())
	if err == nil && (last || v != nil) {
		err = w.site.Clone.Restore(s, w.tree)
	}
	return res, err
}

// checkFacts are what is known of a check before it runs. Its command the repository's
// files say, unless a person did; what it does agents may have said.
func (w *work) checkFacts(c Check) policy.Facts {
	f := policy.Facts{
		Tool: CheckTool, Effect: policy.Execute, Command: c.Command, Sh: true, PlanOpen: w.planOpen(),
		Label: fromProgram.Join(fromRepository).Join(w.inFiles()), Named: len(w.in.Settings.Checks) > 0,
	}
	if w.author != nil {
		f.Label = f.Label.Join(w.author.Label())
	}
	return f
}

// askCheck is what a person is shown. What the command does is not known: a Makefile or
// a test that an agent changes is run by the same.
func (w *work) askCheck(c Check, f policy.Facts, d policy.Decision) (checked, error) {
	args, err := json.Marshal(map[string]string{"command": c.Command})
	if err != nil {
		return checked{}, err
	}
	canonical, err := policy.Canonical(args)
	if err != nil {
		return checked{}, err
	}
	return checked{Ask: &asked{
		Hash:   policy.Bind(CheckTool, canonical, w.c.Scope().Run, w.policyHash),
		Effect: w.bounded("run the check "+c.Command+", which the repository's files name, before the work and after each change of it", 1000),
		Call: mgx.ProposedCall{
			Tool: CheckTool, Effect: string(f.Effect), Arguments: w.bounded(string(canonical), 64<<10), Digest: policy.Digest(canonical),
			Rule: d.Rule, Why: d.Why, Rest: "this check, which an approval does in any case", Label: &f.Label,
		},
	}}, nil
}
