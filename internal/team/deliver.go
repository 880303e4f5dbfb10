package team

import (
	"fmt"
	"slices"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/git"
	"mgx/internal/workflow"
)

// deliver brings what is committed to the user's repository. A goal that was not
// reached stays an error; only checks and reviews that say no leave a change
// worth a branch.
func (w *work) deliver(goal error) (mgx.TaskResult, error) {
	if goal != nil && !mgx.IsCode(goal, "checks_failed") && !mgx.IsCode(goal, "review_unresolved") {
		return mgx.TaskResult{}, goal
	}
	if mgx.IsCode(goal, "checks_failed") {
		if err := w.commit("unfinished"); err != nil {
			return mgx.TaskResult{}, err
		}
	}
	if w.head == w.prep.Base {
		if goal != nil {
			return mgx.TaskResult{}, goal
		}
		return w.nothingToDo()
	}
	branch, goal, err := w.allowed(goal)
	if err != nil {
		return mgx.TaskResult{}, err
	}
	d, err := workflow.Step(w.c, "deliver/fetch", []string{branch, w.head}, func(s *workflow.StepContext) (mgx.DeliveredData, error) {
		return w.fetch(s, branch)
	})
	if err != nil {
		return mgx.TaskResult{}, err
	}
	return mgx.TaskResult{
		Kind: "delivered", Branch: d.Branch, Commit: d.Commit, Answer: w.done.Summary,
		Files: d.Files, Additions: d.Additions, Deletions: d.Deletions, Checks: w.succeeded(),
	}, goal
}

// allowed settles whether the branch may be delivered, and returns its name. Whoever
// is asked may want changes: then the author makes them, checks and reviewers judge
// them, and the new state is asked about anew, as often as somebody wants and the
// run's limits allow. The goal is that of the state that is delivered.
func (w *work) allowed(goal error) (string, error, error) {
	if err := w.phase(mgx.PhaseDeliver, ""); err != nil {
		return "", goal, err
	}
	branch, err := workflow.Step(w.c, "deliver/branch", w.in.Settings.Branch, w.branch)
	if err != nil {
		return "", goal, err
	}
	step := "deliver"
	for round := 1; ; round++ {
		d, err := w.mayDeliver(step, branch)
		if err != nil || d.Approved {
			return branch, goal, err
		}
		if goal, err = w.rework(round, d); err != nil {
			return "", goal, err
		}
		step = fmt.Sprintf("deliver-%d", round+1)
		if err := w.phase(fmt.Sprintf("%s-%d", mgx.PhaseDeliver, round+1), ""); err != nil {
			return "", goal, err
		}
	}
}

// rework has the author make the changes that a person wants, and the result judged
// as the first one was. What came of it is a commit, whatever its goal: the person
// looks at it and decides.
func (w *work) rework(round int, d Decision) (goal, err error) {
	name := fmt.Sprintf("changes-%d", round)
	goal = w.redo(name, d)
	if goal != nil && !slices.Contains([]string{"impossible", "no_change", "checks_failed", "review_unresolved"}, mgx.AsError(goal).Code) {
		return nil, goal
	}
	if err := w.commit(name + "-rest"); err != nil {
		return nil, err
	}
	if mgx.IsCode(goal, "impossible") || mgx.IsCode(goal, "no_change") {
		return nil, w.warn(name, "Of the changes that %s asked for: %s", d.By, mgx.AsError(goal).Message)
	}
	return goal, nil
}

func (w *work) redo(name string, d Decision) error {
	if err := w.phase(mgx.PhaseImplement+"-"+name, "changes asked for by a person"); err != nil {
		return err
	}
	pieces := []agent.Piece{words("Your change was looked at and is not delivered as it is. Do what is asked for below, leave the rest as it is, run the checks, then call finish with a commit message for this revision alone.\n\n")}
	for _, said := range []agent.Said{w.said(d.Reason, false), w.said(d.Remarks, true)} {
		if said.Text != "" {
			pieces = append(pieces, said.Pieces()...)
			w.told = append(w.told, said) // reviewers hear it too
		}
	}
	if err := w.tell(name+"/brief", pieces...); err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	if err := w.heal(name); err != nil {
		return err
	}
	if err := w.commit(name); err != nil {
		return err
	}
	return w.review()
}

// nothingToDo ends a run whose task was already so, if the checks agree.
func (w *work) nothingToDo() (mgx.TaskResult, error) {
	return mgx.TaskResult{Kind: "nothing_to_do", Answer: w.done.Summary, Checks: w.succeeded()},
		workflow.Record(w.c, "answered", w.c.Scope().Event(mgx.RunAnswered, mgx.AnsweredData{Answer: w.done.Summary}))
}

// branch names the branch before it is made, so that a crash in between does not
// make a second one.
func (w *work) branch(s *workflow.StepContext) (string, error) {
	if w.in.Settings.Branch != "" {
		return w.in.Settings.Branch, nil
	}
	return git.NextBranch(s, w.site.Source, git.Slug(w.triaged.Title))
}

func (w *work) fetch(s *workflow.StepContext, branch string) (mgx.DeliveredData, error) {
	d := mgx.DeliveredData{Base: w.prep.Base, Commit: w.head}
	bundle, err := w.site.Clone.Bundle(s, w.in.Repo.Head, w.head)
	if err != nil {
		return d, err
	}
	if d.Branch, err = git.Deliver(s, w.site.Source, bundle, w.head, branch); err != nil {
		return d, err
	}
	changes, err := w.site.Clone.Changes(s, w.prep.Base, w.head)
	if err != nil {
		return d, err
	}
	d.Files, d.Commits = len(changes), w.made
	for i, c := range changes {
		d.Additions += c.Additions
		d.Deletions += c.Deletions
		if i < 50 {
			d.Stat = append(d.Stat, fmt.Sprintf("%s | +%d -%d", c.Path, c.Additions, c.Deletions))
		}
	}
	s.Emit(s.Scope().Event(mgx.RunDelivered, d))
	return d, nil
}
