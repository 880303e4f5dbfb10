// Package app holds the use cases: what a person may do to tasks and runs,
// whichever way they ask. Each one checks what it is given, decides, and commits
// one change; none prints, prompts or waits longer than it says.
package app

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mgx"
	"mgx/internal/team"
	"mgx/internal/workflow"
)

// Store is what the use cases read and write; *store.Store is one.
type Store interface {
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	Run(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.Run, error)
	Journal(ctx context.Context, x mgx.ExecutionID) ([]mgx.StepRecord, error)
	Execution(ctx context.Context, x mgx.ExecutionID) (mgx.Execution, error)
}

// App serves one workspace.
type App struct {
	Workspace mgx.WorkspaceID
	Actor     string // who acts: an id, never a name
	Store     Store
	Engine    *workflow.Engine
	// CopyFiles makes a fork's files from those of the run it forks.
	CopyFiles func(from, to mgx.RunID) error
}

// NewRun is what it takes to start a run.
type NewRun struct {
	Text     string // the task, in words
	Repo     mgx.RepoInfo
	Settings mgx.RunSettings
	Source   string    // cli, api, console
	ID       mgx.RunID // of the run, when files of it are there already; empty: a new one
}

// Longest task text, in bytes.
const maxTask = 64 << 10

// StartRun records a task and a run of it, ready to be worked on.
func (a *App) StartRun(ctx context.Context, n NewRun) (mgx.Run, error) {
	text := strings.TrimSpace(n.Text)
	switch {
	case text == "":
		return mgx.Run{}, mgx.Errorf(mgx.KindUsage, "empty_task", `the task is empty; say what you want, for example: mgx run "add a /healthz endpoint with a test"`)
	case len(text) > maxTask:
		return mgx.Run{}, mgx.Errorf(mgx.KindUsage, "task_too_long", "the task has %d bytes, and the limit is %d; put details into a file of the repository and name it", len(text), maxTask)
	}
	if err := validate(n.Settings); err != nil {
		return mgx.Run{}, err
	}
	task := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: title(text), Description: text, Priority: "medium"}
	created := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task, UserID: a.Actor, Source: n.Source})
	created.Workspace, created.Project, created.Task, created.Stream = a.Workspace, mgx.ProjectOf(n.Repo.Path), task.ID, mgx.StreamID(task.ID)
	id := n.ID
	if id == "" {
		id = mgx.NewRunID()
	}
	return a.start(ctx, id, mgx.RunCreatedData{Task: task, Repo: n.Repo, Settings: n.Settings, Workflow: team.WorkflowName}, nil, created)
}

// start commits a run and its root execution, with what is already known of its
// journal.
func (a *App) start(ctx context.Context, id mgx.RunID, d mgx.RunCreatedData, journal []mgx.StepRecord, before ...mgx.Event) (mgx.Run, error) {
	input, err := json.Marshal(team.Input{Task: d.Task, Repo: d.Repo, Settings: d.Settings})
	if err != nil {
		return mgx.Run{}, mgx.Errorf(mgx.KindInternal, "bad_input", "the run's input is not JSON: %w", err)
	}
	now := mgx.Now()
	scope := mgx.Scope{Workspace: a.Workspace, Project: mgx.ProjectOf(d.Repo.Path), Task: d.Task.ID, Run: id, User: mgx.UserID(a.Actor), Execution: mgx.NewExecutionID()}
	x := mgx.Execution{Scope: scope, Workflow: d.Workflow, Input: input, Status: mgx.ExecReady, WakeAt: now, CreatedAt: now}
	if d.Settings.Timeout > 0 {
		x.Deadline = now.Add(d.Settings.Timeout)
	}
	events := append(before, scope.Event(mgx.RunCreated, d))
	if err := a.Engine.StartFrom(ctx, x, journal, events...); err != nil {
		return mgx.Run{}, err
	}
	return a.Store.Run(ctx, a.Workspace, scope.Run)
}

// Fork starts a new run from another's journal up to a sequence of its stream:
// what was recorded by then is taken over and not done again, and the files are
// as they were. Changes to the settings apply from there on.
func (a *App) Fork(ctx context.Context, from mgx.Run, at int64, change func(*mgx.RunSettings)) (mgx.Run, error) {
	if err := from.NotErased(); err != nil {
		return mgx.Run{}, err
	}
	if at < 1 || at > from.Sequence {
		return mgx.Run{}, mgx.Errorf(mgx.KindUsage, "bad_sequence", "--at %d is outside the run's events 1 to %d; see mgx events --run %s", at, from.Sequence, from.ID)
	}
	all, err := a.Store.Journal(ctx, from.Execution)
	if err != nil {
		return mgx.Run{}, err
	}
	var taken []mgx.StepRecord
	for _, rec := range all {
		if rec.Sequence > at {
			break
		}
		taken = append(taken, rec)
	}
	settings := from.Settings
	if change != nil {
		change(&settings)
	}
	if err := validate(settings); err != nil {
		return mgx.Run{}, err
	}
	id := mgx.NewRunID()
	if err := a.CopyFiles(from.ID, id); err != nil {
		return mgx.Run{}, err
	}
	return a.start(ctx, id, mgx.RunCreatedData{
		Task: from.Task, Repo: from.Repo, Settings: settings, Workflow: team.WorkflowName, ForkOf: from.ID, ForkAt: at,
	}, taken)
}

// Cancel asks whoever works on a run, or will, to stop.
func (a *App) Cancel(ctx context.Context, run mgx.Run, why string) error {
	if run.Status.Ended() {
		return mgx.Errorf(mgx.KindUsage, "already_ended", "run %s has ended already: %s", run.ID, run.Status)
	}
	return a.Engine.Cancel(ctx, run.Execution, why)
}

func validate(s mgx.RunSettings) error {
	bad := func(code, format string, args ...any) error {
		return mgx.Errorf(mgx.KindUsage, code, format, args...)
	}
	switch {
	case s.Approve != "auto" && s.Approve != "ask" && s.Approve != "never":
		return bad("bad_approve", "--approve takes auto, ask or never, not %q", s.Approve)
	case s.Sandbox != "auto" && s.Sandbox != "off":
		return bad("bad_sandbox", "--sandbox takes auto or off, not %q", s.Sandbox)
	case s.MaxTurns < 1 || s.MaxTurns > 10_000:
		return bad("bad_max_turns", "--max-turns takes 1 to 10000, not %d", s.MaxTurns)
	case s.MaxTokens < 0:
		return bad("bad_max_tokens", "--max-tokens takes a positive number, not %d", s.MaxTokens)
	case s.Timeout < time.Second || s.Timeout > 30*24*time.Hour:
		return bad("bad_timeout", "--timeout takes 1s to 720h, not %s", s.Timeout)
	case s.Budget != nil && *s.Budget < 0:
		return bad("bad_budget", "--budget takes an amount of dollars, not %s", *s.Budget)
	case s.Model == "":
		return bad("no_model", "a run needs a model")
	}
	if err := validPolicy(s.Policy); err != nil {
		return err
	}
	for _, c := range s.Checks {
		if strings.TrimSpace(c) == "" {
			return bad("bad_check", "--check is empty; give a command, for example --check 'go test ./...'")
		}
	}
	return nil
}

// title is the first line of a task, at most 120 characters.
func title(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(strings.TrimSpace(line)); len(r) > 120 {
		return fmt.Sprintf("%s…", string(r[:119]))
	}
	return strings.TrimSpace(line)
}
