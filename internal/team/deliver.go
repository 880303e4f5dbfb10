package team

import (
	"fmt"

	"mgx"
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
	if err := w.phase(mgx.PhaseDeliver, ""); err != nil {
		return mgx.TaskResult{}, err
	}
	branch, err := workflow.Step(w.c, "deliver/branch", w.in.Settings.Branch, w.branch)
	if err != nil {
		return mgx.TaskResult{}, err
	}
	if err := w.mayDeliver(branch); err != nil {
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
		Files: d.Files, Additions: d.Additions, Deletions: d.Deletions, Checks: len(w.checks.Checks),
	}, goal
}

// nothingToDo ends a run whose task was already so, if the checks agree.
func (w *work) nothingToDo() (mgx.TaskResult, error) {
	return mgx.TaskResult{Kind: "nothing_to_do", Answer: w.done.Summary, Checks: len(w.checks.Checks)},
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
