package app

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard/policy"
	"mgx/internal/team"
)

// Answer is a person's decision on something that a run waits for.
type Answer struct {
	// Approval names it: its id, with or without "decision/", or at least eight
	// characters of its hash. It may be left out when only one is pending.
	Approval string
	Approved bool
	Rest     bool   // allow the same for the rest of the run; tool calls only
	Changes  bool   // not approved as it is: changes first; deliveries only
	Reason   string // why not, what is to change, or the answer to a question
	// Hash is that of what the person looked at. Without one the decision is on
	// what is pending now.
	Hash string
}

// Decide answers what a run waits for: an approval, or a question. It counts for
// exactly what the hash says and nothing else, and once: of two people who decide
// at the same time the second is told so.
func (w *Work) Decide(ctx context.Context, actor access.Actor, id mgx.RunID, d Answer) error {
	run, err := w.run(ctx, actor, "approve", id)
	if err != nil {
		return err
	}
	ask, err := Pending(run.Run, d.Approval)
	if err != nil {
		return cmp.Or(decidedOn(run.Run, d.Approval), err)
	}
	switch {
	case d.Hash != "" && d.Hash != ask.Hash:
		return mgx.Errorf(mgx.KindRefused, "other_hash", "what run %s proposes now is not what was decided on; look at it again with: mgx show %s", run.ID, run.ID)
	case d.Rest && (ask.Call == nil || !d.Approved):
		return mgx.Errorf(mgx.KindUsage, "bad_rest", "only a tool call can be approved for the rest of the run")
	case d.Changes && (d.Approved || !Delivers(ask)):
		return mgx.Errorf(mgx.KindUsage, "bad_changes", "changes are requested of a delivery, instead of approving it; reject anything else with words")
	case len(d.Reason) > maxReason:
		return mgx.Errorf(mgx.KindUsage, "bad_reason", "a reason has at most %d bytes", maxReason)
	}
	decision := team.Decision{Approved: d.Approved, Rest: d.Rest, By: whoActs(actor), Reason: d.Reason, Hash: ask.Hash, Changes: d.Changes}
	var events []mgx.Event
	switch {
	case d.Approved && Delivers(ask):
		err = w.deliverable(ctx, run.Run)
	case d.Changes:
		var told mgx.ChangesRequestedData
		decision.Remarks, told, err = w.requested(ctx, actor, run.Run, d.Reason)
		told.ApprovalID = ask.ID
		events = append(events, scopeOf(run).Event(mgx.RunChangesRequested, told))
	}
	if err != nil {
		return err
	}
	said := act(actor, "approval.decide", string(run.ID), map[string]any{
		"approval_id": ask.ID, "hash": ask.Hash, "approved": d.Approved, "rest": d.Rest, "changes": d.Changes, "reason": d.Reason, "effect": ask.Effect,
	}, string(run.Execution), ask.ID, ask.Hash)
	err = w.o.Engine.Signal(ctx, run.Execution, ask.ID, decision, append(events, said)...)
	if mgx.IsCode(err, mgx.CodeConflict) {
		return w.decidedBefore(ctx, run.Run, ask, decision)
	}
	return err
}

// decidedOn is the error for a decision that comes too late: somebody has decided,
// and the run has gone on by now. It is nil when that is not what is wrong.
func decidedOn(run mgx.Run, name string) error {
	if a := run.Approval; a != nil && a.Decided && name != "" && named(*a, name) && !run.Status.Ended() {
		return tooLate(run.ID, team.Decision{Approved: a.Approved, Changes: a.Changes, By: a.By})
	}
	return nil
}

// tooLate tells who decided first, and what.
func tooLate(id mgx.RunID, first team.Decision) error {
	what := "rejected"
	switch {
	case first.Approved:
		what = "approved"
	case first.Changes:
		what = "requested changes of"
	}
	return mgx.Errorf(mgx.KindUsage, CodeDecided, "this was decided already: %s %s it before you, so what you decided was not used; look at how run %s goes on", first.By, what, id)
}

// decidedBefore says what becomes of a decision that is not the first: nothing, and
// nothing is wrong when it is the same once more.
func (w *Work) decidedBefore(ctx context.Context, run mgx.Run, ask mgx.Approval, d team.Decision) error {
	sent, err := w.o.Store.Signals(ctx, run.Execution, ask.ID)
	if err != nil {
		return err
	}
	for _, g := range sent {
		var first team.Decision
		if json.Unmarshal(g.Payload, &first) != nil || first.Hash != ask.Hash {
			continue
		}
		if first == d {
			return nil
		}
		return tooLate(run.ID, first)
	}
	return mgx.Errorf(mgx.KindUsage, CodeDecided, "this was decided already; look at how the run goes on with: mgx show %s", run.ID)
}

// CodeDecided is of a decision on something that somebody else has decided on.
const CodeDecided = "already_decided"

// Pending finds the approval of a run that a person names: by its id, or the
// beginning of its hash; without a name the only one.
func Pending(run mgx.Run, name string) (mgx.Approval, error) {
	all := run.Pending()
	if len(all) == 0 {
		return mgx.Approval{}, mgx.Errorf(mgx.KindUsage, "nothing_to_decide", "run %s waits for no decision; it is %s", run.ID, run.Status)
	}
	var found []mgx.Approval
	for _, p := range all {
		if name == "" || named(p, name) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return mgx.Approval{}, mgx.Errorf(mgx.KindUsage, "no_such_approval", "run %s does not wait for %q; it waits for %s", run.ID, name, idsOf(all))
	}
	return mgx.Approval{}, mgx.Errorf(mgx.KindUsage, "several_pending", "run %s waits for %d decisions; name one of them: %s", run.ID, len(found), idsOf(found))
}

func named(p mgx.Approval, name string) bool {
	hash := strings.TrimPrefix(name, "sha256:")
	return p.ID == name || p.ID == "decision/"+name ||
		len(hash) >= 8 && strings.HasPrefix(strings.TrimPrefix(p.Hash, "sha256:"), hash)
}

func idsOf(list []mgx.Approval) string {
	var ids []string
	for _, p := range list {
		ids = append(ids, strings.TrimPrefix(p.ID, "decision/"))
	}
	return strings.Join(ids, ", ")
}

// validPolicy holds a run's policy against its hash.
func validPolicy(p *mgx.PolicyInfo) error {
	if p == nil {
		return nil
	}
	rules, err := policy.Parse(p.Text)
	if err == nil && (rules.Hash() != p.Hash || rules.String() != p.Text) {
		err = mgx.Errorf(mgx.KindUsage, policy.CodeBadPolicy, "the text of the policy is not what its hash says")
	}
	return err
}
