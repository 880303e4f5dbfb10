package main

import (
	"context"
	"io"
	"iter"
	"strings"

	"mgx"
	"mgx/client"
	"mgx/internal/app"
	"mgx/internal/git"
	"mgx/internal/lazy"
	"mgx/internal/store"
)

// runs is what commands do with runs, where they work.
type runs interface {
	// Find finds the run that a person means by a whole id or a part of it.
	Find(ctx context.Context, name string) (mgx.Run, error)
	Get(ctx context.Context, id mgx.RunID) (mgx.Run, error)
	// List are those of the workspace that f selects, the newest first, without what is
	// long.
	List(ctx context.Context, f mgx.RunFilter, limit int) ([]mgx.RunInfo, error)
	// Tasks are those of the workspace, the newest first; with words those that have them.
	Tasks(ctx context.Context, words string, limit int) ([]mgx.Task, error)
	Task(ctx context.Context, id mgx.TaskID) (client.TaskRuns, error)
	// Approvals are what runs wait for a person to decide, the longest waiting first.
	Approvals(ctx context.Context, limit int) ([]client.AskedApproval, error)
	// Executions are those of the workspace that f selects by run and status, the newest
	// first.
	Executions(ctx context.Context, f mgx.ExecutionFilter, limit int) ([]client.Execution, error)
	Execution(ctx context.Context, id mgx.ExecutionID) (client.ExecutionSteps, error)
	// Estimate says what a task may take.
	Estimate(ctx context.Context, project mgx.ProjectID, model string) (client.Estimate, error)
	// Steps are the recorded steps of a run, in order.
	Steps(ctx context.Context, run mgx.Run) ([]mgx.StepRecord, error)
	// Events are those of a run that there are.
	Events(ctx context.Context, run mgx.Run) iter.Seq2[mgx.Event, error]
	// Open is what is set aside for calls of a run that are under way.
	Open(ctx context.Context, run mgx.Run) (mgx.Money, error)
	Diff(ctx context.Context, id mgx.RunID) (app.Diff, error)
	// Artifacts are what a run has made by now, and was given.
	Artifacts(ctx context.Context, id mgx.RunID) ([]client.Artifact, error)
	// Artifact fetches one of them by its name or digest, whose bytes agents wrote.
	Artifact(ctx context.Context, id mgx.RunID, name string) (media string, content []byte, err error)
	Decide(ctx context.Context, id mgx.RunID, d app.Answer) error
	Cancel(ctx context.Context, id mgx.RunID, why string) error
	Steer(ctx context.Context, id mgx.RunID, words string) error
	Pause(ctx context.Context, id mgx.RunID, reason string) error
	Continue(ctx context.Context, id mgx.RunID) error
	// Branch writes the branch that a run delivered, as a bundle of git.
	Branch(ctx context.Context, id mgx.RunID, into io.Writer) (client.Branch, error)
	// Replay runs the workflow code of a run again from its journal.
	Replay(ctx context.Context, id mgx.RunID) (app.Replay, error)
	// Try says what a policy makes of the calls that a run made, a page at a time.
	Try(ctx context.Context, id mgx.RunID, p namedPolicy, page string) (app.TriedCalls, error)
}

// withRuns does something with runs where a command says.
func (c *cli) withRuns(ctx context.Context, f func(context.Context, runs) error) error {
	return reach(ctx, c,
		func(_ context.Context, n *node) (runs, error) { return ownRuns{n}, nil },
		func(remote *client.Client) runs { return theirRuns{remote.Runs(), remote} }, f)
}

// withRunOf does it with the run that a person names.
func (c *cli) withRunOf(ctx context.Context, name string, f func(context.Context, runs, mgx.Run) error) error {
	return c.withRuns(ctx, func(ctx context.Context, r runs) error {
		run, err := r.Find(ctx, name)
		if err != nil {
			return err
		}
		return f(ctx, r, run)
	})
}

// ownRuns are those of the data directory.
type ownRuns struct{ n *node }

func (o ownRuns) Find(ctx context.Context, name string) (mgx.Run, error) { return o.n.find(ctx, name) }

func (o ownRuns) Get(ctx context.Context, id mgx.RunID) (mgx.Run, error) {
	return o.n.store.Run(ctx, o.n.workspace, id)
}

func (o ownRuns) List(ctx context.Context, f mgx.RunFilter, limit int) ([]mgx.RunInfo, error) {
	q := app.RunsQuery{Statuses: f.Statuses, Project: f.Project, Task: f.Task, User: f.User, Text: f.Text}
	all, err := upToHere(limit, func(token string, limit int) (app.Page[mgx.RunInfo], error) {
		q.After, q.Limit = token, limit
		return o.n.app.Runs(ctx, o.n.me(), q)
	})
	for i, r := range all {
		all[i] = r.Brief()
	}
	return all, err
}

// upToHere collects the beginning of a list of the data directory, by its pages.
func upToHere[T any](limit int, page func(token string, limit int) (app.Page[T], error)) (all []T, err error) {
	for token := ""; ; {
		p, err := page(token, limit-len(all))
		if err != nil {
			return nil, err
		}
		if all, token = append(all, p.Items...), p.Next; token == "" || len(all) >= limit {
			return all[:min(len(all), limit)], nil
		}
	}
}

func (o ownRuns) Steps(ctx context.Context, run mgx.Run) ([]mgx.StepRecord, error) {
	return o.n.store.Journal(ctx, run.Execution)
}

func (o ownRuns) Events(ctx context.Context, run mgx.Run) iter.Seq2[mgx.Event, error] {
	return o.n.store.EachEvent(ctx, store.EventQuery{Workspace: run.Workspace, Run: run.ID})
}

func (o ownRuns) Open(ctx context.Context, run mgx.Run) (mgx.Money, error) {
	_, open, err := o.n.store.Spent(ctx, run.ID)
	return open, err
}

func (o ownRuns) Diff(ctx context.Context, id mgx.RunID) (app.Diff, error) {
	return o.n.app.Diff(ctx, o.n.me(), id)
}

func (o ownRuns) Decide(ctx context.Context, id mgx.RunID, d app.Answer) error {
	return o.n.app.Decide(ctx, o.n.me(), id, d)
}

// Cancel stops a run. When nobody is at work on it, this process brings it to its
// end.
func (o ownRuns) Cancel(ctx context.Context, id mgx.RunID, why string) error {
	if err := o.n.app.Cancel(ctx, o.n.me(), id, why); err != nil {
		return err
	}
	run, err := o.Get(ctx, id)
	if err == nil {
		_, err = o.n.engine.Drive(ctx, run.ID, run.Execution)
	}
	return err
}

func (o ownRuns) Steer(ctx context.Context, id mgx.RunID, words string) error {
	return o.n.app.Steer(ctx, o.n.me(), id, words, "")
}

func (o ownRuns) Pause(ctx context.Context, id mgx.RunID, reason string) error {
	return o.n.app.Pause(ctx, o.n.me(), id, reason)
}

func (o ownRuns) Continue(ctx context.Context, id mgx.RunID) error {
	return o.n.app.Continue(ctx, o.n.me(), id)
}

func (o ownRuns) Branch(ctx context.Context, id mgx.RunID, into io.Writer) (client.Branch, error) {
	d, err := o.n.app.Branch(ctx, o.n.me(), id)
	if err != nil {
		return client.Branch{}, err
	}
	defer d.Content.Close()
	_, err = io.Copy(into, d.Content)
	return client.Branch{Name: d.Branch, Commit: d.Commit}, err
}

func (o ownRuns) Replay(ctx context.Context, id mgx.RunID) (app.Replay, error) {
	return o.n.app.Replay(ctx, o.n.me(), id)
}

// theirRuns are those of a workspace at a server.
type theirRuns struct {
	client.Runs
	remote *client.Client
}

// mostLooked is how many of the newest are looked at for a part of an id.
const mostLooked = 1000

var wholeID = lazy.Regexp(`^[a-z]+_[0-9A-Za-z]{26}$`)

// wholeOf is the id that a person means by it or, of the newest, by a part of it.
func wholeOf[T any, ID ~string](name, what, where string, newest func() ([]T, error), id func(T) ID) (ID, error) {
	if wholeID().MatchString(name) {
		return ID(name), nil
	}
	all, err := newest()
	if err != nil {
		return "", err
	}
	found, err := one(all, name, what, where, func(v T) string { return string(id(v)) })
	return id(found), err
}

func (t theirRuns) Find(ctx context.Context, name string) (mgx.Run, error) {
	id, err := t.idOf(ctx, name)
	if err != nil {
		return mgx.Run{}, err
	}
	return t.Get(ctx, id)
}

// idOf is the id that a person means by it or by a part of it.
func (t theirRuns) idOf(ctx context.Context, name string) (mgx.RunID, error) {
	if wholeID().MatchString(name) {
		return mgx.RunID(name), nil
	}
	all, err := t.List(ctx, mgx.RunFilter{}, mostLooked)
	if err != nil {
		return "", err
	}
	found, err := one(all, name, "run", "mgx runs", func(r mgx.RunInfo) string { return string(r.ID) })
	if mgx.IsCode(err, mgx.CodeNotFound) {
		err = mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no run %s; `mgx runs` lists them", name)
	}
	return found.ID, err
}

func (t theirRuns) Get(ctx context.Context, id mgx.RunID) (mgx.Run, error) {
	run, err := t.Runs.Get(ctx, id)
	return run.Run, err
}

func (t theirRuns) List(ctx context.Context, f mgx.RunFilter, limit int) ([]mgx.RunInfo, error) {
	return upTo(limit, t.Runs.List(ctx, f))
}

// upTo collects the beginning of a list; nothing when it cannot be read so far.
func upTo[T any](limit int, list iter.Seq2[T, error]) (all []T, err error) {
	for v, err := range list {
		if err != nil {
			return nil, err
		}
		if all = append(all, v); len(all) == limit {
			break
		}
	}
	return all, nil
}

func (t theirRuns) Steps(ctx context.Context, run mgx.Run) (all []mgx.StepRecord, err error) {
	x, err := t.Execution(ctx, run.Execution)
	for _, s := range x.Steps {
		if s.State == "running" {
			continue
		}
		rec := mgx.StepRecord{Execution: run.Execution, Name: s.Name, Kind: s.Kind, Order: s.Order, Sequence: s.Sequence, Attempts: s.Attempts, StartedAt: s.StartedAt, RecordedAt: s.EndedAt}
		if s.State == "failed" {
			rec.Failure = &mgx.Error{Message: s.Error}
		}
		all = append(all, rec)
	}
	return all, err
}

func (t theirRuns) Events(ctx context.Context, run mgx.Run) iter.Seq2[mgx.Event, error] {
	return t.Runs.Events(ctx, run.ID)
}

// Open asks the ledger, as far as whoever asks may see it.
func (t theirRuns) Open(ctx context.Context, run mgx.Run) (open mgx.Money, err error) {
	for line, err := range t.remote.Budgets().Usage(ctx, mgx.UsageQuery{By: mgx.ByRun, Run: run.ID}) {
		switch {
		case err != nil && mgx.AsError(err).Kind == mgx.KindRefused:
			return 0, nil
		case err != nil:
			return 0, err
		}
		open += line.Open
	}
	return open, nil
}

func (t theirRuns) Diff(ctx context.Context, id mgx.RunID) (app.Diff, error) {
	d, err := t.Runs.Diff(ctx, id)
	shown := app.Diff{Base: d.Base, Tree: d.Tree, Text: d.Text}
	for _, f := range d.Files {
		shown.Files = append(shown.Files, app.DiffFile(f))
	}
	return shown, err
}

func (t theirRuns) Decide(ctx context.Context, id mgx.RunID, d app.Answer) error {
	if d.Changes {
		return t.RequestChanges(ctx, id, client.Changes{Reason: d.Reason, Approval: d.Approval, Hash: d.Hash})
	}
	return t.Runs.Decide(ctx, id, d.Approval, client.Decision{Approved: d.Approved, Hash: d.Hash, Rest: d.Rest, Reason: d.Reason})
}

func (t theirRuns) Branch(ctx context.Context, id mgx.RunID, into io.Writer) (client.Branch, error) {
	return t.Runs.Branch(ctx, id, into, git.MaxUpload)
}

func (t theirRuns) Replay(ctx context.Context, id mgx.RunID) (app.Replay, error) {
	said, err := t.Runs.Replay(ctx, id)
	report := app.Replay{Steps: said.Steps, Identical: said.Identical}
	if d := said.Difference; d != nil {
		report.Difference = (*app.Difference)(d)
	}
	return report, err
}

// there is what a command line has to name besides to be about the same server.
func (c *cli) there() string {
	if _, typed := c.typed["server"]; !typed {
		return ""
	}
	text := " --server " + c.at.server
	if ws, typed := c.typed["workspace"]; typed {
		text += " --workspace " + ws
	}
	return strings.ReplaceAll(text, "\n", " ")
}
