package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/guard"
	"mgx/internal/guard/policy"
	"mgx/internal/team"
)

// NewTask is what a person asks for. What is left out is as the machine, the
// workspace and the project have it.
type NewTask struct {
	Text    string        `json:"task"`       // in words
	Project mgx.ProjectID `json:"project_id"` // of the workspace
	Repo    string        `json:"repo"`       // or a directory of the machine; only the owner of the data directory names one
	Upload  string        `json:"upload"`     // or a repository that was sent, by its digest

	Model     string     `json:"model"`   // provider/model or a routing policy
	Approve   string     `json:"approve"` // auto, ask, never
	Plan      bool       `json:"plan"`    // plan first, whatever the size
	Policy    string     `json:"policy"`  // a built-in permission policy; not where the project sets one
	Budget    *mgx.Money `json:"budget_usd"`
	MaxTurns  int        `json:"max_turns"`
	MaxTokens int64      `json:"max_tokens"`
	Timeout   int64      `json:"timeout_seconds"`
	Checks    []string   `json:"checks"`
	Branch    string     `json:"branch"`

	Attachments []Attached `json:"attachments"` // files that were sent

	// IdempotencyKey makes it one task however often it is asked for.
	IdempotencyKey string `json:"-"`
	Source         string `json:"-"` // api, console; empty: api
}

// NewRun is a task with all that its run begins with.
type NewRun struct {
	Text     string // the task, in words
	Repo     mgx.RepoInfo
	Settings mgx.RunSettings
	Source   string    // cli, api, console
	ID       mgx.RunID // of the run, when files of it are there already; empty: a new one
	Key      string    // of idempotency
}

// Bounds of a task.
const (
	maxTask   = 64 << 10 // bytes of its text
	maxChecks = 50
	maxCheck  = 4 << 10 // bytes of one
	maxBranch = 200
	maxKey    = 255
)

// Start records a task and a run of it, which a worker takes up. With a key that
// was used for the same before it returns that run, and created is false.
func (w *Work) Start(ctx context.Context, actor access.Actor, n NewTask) (run mgx.Run, created bool, err error) {
	if err := w.may(ctx, actor, "create", "tasks"); err != nil {
		return run, false, err
	}
	if err := n.check(); err != nil {
		return run, false, err
	}
	repo, err := w.repository(ctx, actor, n)
	if err != nil {
		return run, false, err
	}
	settings, err := w.settings(ctx, actor, repo.Path, n)
	if err != nil {
		return run, false, err
	}
	source := n.Source
	if source == "" {
		source = "api"
	}
	begin := NewRun{Text: n.Text, Repo: repo, Settings: settings, Source: source, Key: n.IdempotencyKey}
	if err := begin.check(); err != nil {
		return run, false, err
	}
	if run, err := w.attach(ctx, actor, &begin, n.Attachments); err != nil || run.ID != "" {
		return run, false, err
	}
	return w.startRun(ctx, actor, begin)
}

func (n NewTask) check() error {
	bad := func(code, format string, args ...any) error { return mgx.Errorf(mgx.KindUsage, code, format, args...) }
	switch {
	case !mgx.IsText(n.Text, string(n.Project), n.Repo, n.Model, n.Branch) || !mgx.IsText(n.Checks...):
		return bad("bad_task", "a task is text without a character 0")
	case n.Project != "" && n.Repo != "" || n.Upload != "" && (n.Project != "" || n.Repo != ""):
		return bad("bad_project", "a task is on a project, in a directory or on an upload, not on two of them")
	case len(n.Checks) > maxChecks || slices.ContainsFunc(n.Checks, func(c string) bool { return len(c) > maxCheck }):
		return bad("bad_check", "a task has at most %d checks of %d bytes", maxChecks, maxCheck)
	case len(n.Branch) > maxBranch:
		return bad("bad_branch", "the name of a branch has at most %d bytes", maxBranch)
	case len(n.IdempotencyKey) > maxKey:
		return bad("bad_query", "an Idempotency-Key has at most %d bytes", maxKey)
	case n.Timeout < 0 || n.Timeout > int64(30*24*time.Hour/time.Second):
		return bad("bad_timeout", "timeout_seconds takes 1 to 2592000, not %d", n.Timeout)
	}
	branch, err := guard.Line("bad_branch", "the name of a branch", n.Branch, maxBranch)
	if err == nil && branch != n.Branch {
		err = bad("bad_branch", "the name of a branch has no space around it")
	}
	if err == nil {
		err = checkAttached(n.Attachments)
	}
	return err
}

// repository finds what a task is to be done on, as it is now.
func (w *Work) repository(ctx context.Context, actor access.Actor, n NewTask) (mgx.RepoInfo, error) {
	switch {
	case n.Project != "":
		p, err := w.o.Store.Project(ctx, actor.Workspace, n.Project)
		if err != nil {
			return mgx.RepoInfo{}, err
		}
		seen, err := w.o.Host.Inspect(ctx, p.Path)
		if err == nil {
			err = contained(seen, p.Within)
		}
		return seen.RepoInfo, err
	case n.Upload != "":
		return w.uploaded(ctx, actor, n.Upload)
	case n.Repo == "":
		return mgx.RepoInfo{}, mgx.Errorf(mgx.KindUsage, "no_project", "say on which project of the workspace, with project_id (mgx run --project); GET /api/v1/projects lists them")
	case !actor.Owner:
		return mgx.RepoInfo{}, mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only the owner of the data directory names a directory of the server; name a project of the workspace, with project_id (mgx run --project)")
	}
	seen, err := w.o.Host.Inspect(ctx, n.Repo)
	return seen.RepoInfo, err
}

// settings are those of the machine and the project, with what the task asks for.
func (w *Work) settings(ctx context.Context, actor access.Actor, repo string, n NewTask) (mgx.RunSettings, error) {
	s, err := w.o.Host.Settings(ctx, actor.Workspace, repo, n.Model)
	if err != nil {
		return s, err
	}
	if n.Policy != "" {
		if s.Policy, err = w.chosenPolicy(ctx, actor, repo, n.Policy); err != nil {
			return s, err
		}
	}
	if n.Approve != "" {
		s.Approve = n.Approve
	}
	if n.Budget != nil {
		s.Budget = n.Budget
	}
	if n.MaxTurns != 0 {
		s.MaxTurns = n.MaxTurns
	}
	if n.MaxTokens != 0 {
		s.MaxTokens = n.MaxTokens
	}
	if n.Timeout != 0 {
		s.Timeout = time.Duration(n.Timeout) * time.Second
	}
	if len(n.Checks) > 0 {
		s.Checks = n.Checks
	}
	if n.Branch != "" {
		err = w.o.Host.CheckBranch(n.Branch)
	}
	s.Plan, s.Branch = s.Plan || n.Plan, n.Branch
	return s, err
}

// chosenPolicy is the policy that a task asks for. Where the project has one it
// is for those to choose another who could set it.
func (w *Work) chosenPolicy(ctx context.Context, actor access.Actor, repo, name string) (*mgx.PolicyInfo, error) {
	set, err := w.o.Store.ProjectSettings(ctx, actor.Workspace, mgx.ProjectOf(repo))
	if err != nil {
		return nil, err
	}
	if own, ok := set["policy"]; ok && own != name {
		if err := w.may(ctx, actor, "manage", "repositories"); err != nil {
			return nil, mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "the project has the policy %s, and who may not set that cannot choose another: %w", own, err)
		}
	}
	rules, ok := policy.Builtin(name)
	if !ok {
		return nil, mgx.Errorf(mgx.KindUsage, "no_such_policy", "there is no policy %q; there are %s", name, strings.Join(policy.Names(), ", "))
	}
	return &mgx.PolicyInfo{Name: name, Text: rules.String(), Hash: rules.Hash()}, nil
}

// StartRun records a task and a run of it with settings that are complete. Only the
// owner of the data directory decides on all of those.
func (w *Work) StartRun(ctx context.Context, actor access.Actor, n NewRun) (mgx.Run, error) {
	if !actor.Owner {
		return mgx.Run{}, mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only the owner of the data directory decides on all settings of a run")
	}
	if err := w.may(ctx, actor, "create", "tasks"); err != nil {
		return mgx.Run{}, err
	}
	if err := n.check(); err != nil {
		return mgx.Run{}, err
	}
	run, _, err := w.startRun(ctx, actor, n)
	return run, err
}

func (n NewRun) check() error {
	switch text := strings.TrimSpace(n.Text); {
	case text == "":
		return mgx.Errorf(mgx.KindUsage, "empty_task", `the task is empty; say what you want, for example: mgx run "add a /healthz endpoint with a test"`)
	case len(text) > maxTask:
		return mgx.Errorf(mgx.KindUsage, "task_too_long", "the task has %d bytes, and the limit is %d; put details into a file of the repository and name it", len(text), maxTask)
	}
	return validate(n.Settings)
}

// startRun begins what was checked.
func (w *Work) startRun(ctx context.Context, actor access.Actor, n NewRun) (run mgx.Run, created bool, err error) {
	text := strings.TrimSpace(n.Text)
	task := mgx.TaskInfo{ID: mgx.NewTaskID(), Title: title(text), Description: text, Priority: "medium"}
	made := mgx.NewEvent(mgx.TaskCreated, mgx.TaskCreatedData{Task: task, UserID: whoActs(actor), Source: n.Source})
	made.Workspace, made.Project, made.Task, made.Stream = actor.Workspace, mgx.ProjectOf(n.Repo.Path), task.ID, mgx.StreamID(task.ID)
	id := n.ID
	if id == "" {
		id = mgx.NewRunID()
	}
	said := act(actor, "task.create", string(task.ID), map[string]any{"run_id": id, "project_id": made.Project, "approve": n.Settings.Approve, "model": n.Settings.Model})
	return w.begin(ctx, actor, id, mgx.RunCreatedData{Task: task, Repo: n.Repo, Settings: n.Settings, Workflow: team.WorkflowName}, nil, n.Key, made, said)
}

// begin commits a run and its root execution, with what is already known of its
// journal. With a key it is begun once.
func (w *Work) begin(ctx context.Context, actor access.Actor, id mgx.RunID, d mgx.RunCreatedData, journal []mgx.StepRecord, key string, before ...mgx.Event) (run mgx.Run, created bool, err error) {
	input, err := json.Marshal(team.Input{Task: d.Task, Repo: d.Repo, Settings: d.Settings})
	if err != nil {
		return run, false, mgx.Errorf(mgx.KindInternal, "bad_input", "the run's input is not JSON: %w", err)
	}
	now := mgx.Now()
	scope := mgx.Scope{Workspace: actor.Workspace, Project: mgx.ProjectOf(d.Repo.Path), Task: d.Task.ID, Run: id, User: mgx.UserID(whoActs(actor)), Execution: mgx.NewExecutionID()}
	if key != "" {
		scope.Execution = executionOf(actor, key)
	}
	x := mgx.Execution{Scope: scope, Workflow: d.Workflow, Input: input, Status: mgx.ExecReady, WakeAt: now, CreatedAt: now}
	if d.Settings.Timeout > 0 {
		x.Deadline = now.Add(d.Settings.Timeout)
	}
	err = w.o.Engine.StartFrom(ctx, x, journal, append(before, scope.Event(mgx.RunCreated, d))...)
	if key != "" && mgx.IsCode(err, mgx.CodeConflict) {
		return w.begun(ctx, actor, scope.Execution, d)
	}
	if err != nil {
		return run, false, err
	}
	linkRun(ctx, scope.Run)
	info, err := w.o.Store.RunInfo(ctx, actor.Workspace, scope.Run)
	return info.Run, true, err
}

// executionOf is the one that an idempotency key begins.
func executionOf(actor access.Actor, key string) mgx.ExecutionID {
	return mgx.IDOf[mgx.ExecutionID]("exec", "begin", string(actor.Workspace), whoActs(actor), key)
}

// begun is the run that an idempotency key began before, if that was the same.
func (w *Work) begun(ctx context.Context, actor access.Actor, x mgx.ExecutionID, d mgx.RunCreatedData) (mgx.Run, bool, error) {
	there, err := w.o.Store.Execution(ctx, x)
	if err != nil {
		return mgx.Run{}, false, err
	}
	info, err := w.o.Store.RunInfo(ctx, actor.Workspace, there.Run)
	if err != nil {
		return mgx.Run{}, false, err
	}
	same := info.Repo.Path == d.Repo.Path && info.Task.Description == d.Task.Description && info.ForkOf == d.ForkOf && info.ForkAt == d.ForkAt
	if !same && info.ErasedAt.IsZero() {
		return mgx.Run{}, false, mgx.Errorf(mgx.KindUsage, mgx.CodeConflict, "this Idempotency-Key began run %s, which is on something else; use another key for another task", info.ID)
	}
	return info.Run, false, nil
}

// NewFork says how to go on from a moment of a run.
type NewFork struct {
	At int64 `json:"at"` // sequence of the last event of the run to take over
	// Change changes settings, which apply from there on. Only the owner of the data
	// directory does so.
	Change         func(*mgx.RunSettings) `json:"-"`
	IdempotencyKey string                 `json:"-"`
}

// Fork starts a new run from another's journal up to a sequence of its stream:
// what was recorded by then is taken over and not done again, and the files are
// as they were.
func (w *Work) Fork(ctx context.Context, actor access.Actor, id mgx.RunID, f NewFork) (run mgx.Run, created bool, err error) {
	from, err := w.run(ctx, actor, "create", id)
	if err != nil {
		return run, false, err
	}
	if f.At < 1 || f.At > from.Sequence {
		return run, false, mgx.Errorf(mgx.KindUsage, "bad_sequence", "--at %d is outside the run's events 1 to %d; see mgx events --run %s", f.At, from.Sequence, from.ID)
	}
	all, err := w.o.Store.Journal(ctx, from.Execution)
	if err != nil {
		return run, false, err
	}
	settings := from.Settings
	if f.Change != nil {
		if !actor.Owner {
			return run, false, mgx.Errorf(mgx.KindRefused, access.CodeForbidden, "only the owner of the data directory decides on all settings of a run")
		}
		f.Change(&settings)
	}
	if err := validate(settings); err != nil {
		return run, false, err
	}
	d := mgx.RunCreatedData{Task: from.Task, Repo: from.Repo, Settings: settings, Workflow: team.WorkflowName, ForkOf: from.ID, ForkAt: f.At}
	if f.IdempotencyKey != "" {
		if run, _, err := w.begun(ctx, actor, executionOf(actor, f.IdempotencyKey), d); !mgx.IsCode(err, mgx.CodeNotFound) {
			return run, false, err
		}
	}
	fork := mgx.NewRunID()
	if err := w.o.Host.CopyFiles(from.ID, fork); err != nil {
		return run, false, err
	}
	said := act(actor, "run.fork", string(fork), map[string]any{"fork_of": from.ID, "fork_at": f.At})
	return w.begin(ctx, actor, fork, d, until(all, f.At), f.IdempotencyKey, said)
}

// until are the steps of a journal that were recorded by a sequence.
func until(journal []mgx.StepRecord, at int64) (taken []mgx.StepRecord) {
	for _, rec := range journal {
		if rec.Sequence > at {
			break
		}
		taken = append(taken, rec)
	}
	return taken
}

// Cancel asks whoever works on a run, or will, to stop. Asking again changes
// nothing.
func (w *Work) Cancel(ctx context.Context, actor access.Actor, id mgx.RunID, why string) error {
	run, err := w.run(ctx, actor, "update", id)
	if err != nil {
		return err
	}
	if run.Status.Ended() {
		return mgx.Errorf(mgx.KindUsage, "already_ended", "run %s has ended already: %s", run.ID, run.Status)
	}
	if why = strings.TrimSpace(why); len(why) > maxReason || !mgx.IsText(why) {
		return mgx.Errorf(mgx.KindUsage, "bad_reason", "a reason is text of at most %d bytes", maxReason)
	}
	err = w.o.Engine.Cancel(ctx, run.Execution, why, act(actor, "run.cancel", string(run.ID), map[string]any{"reason": why}, string(run.Execution)))
	if mgx.IsCode(err, mgx.CodeConflict) { // the log has that it was asked for; it may not have reached all
		return w.o.Engine.Cancel(ctx, run.Execution, why)
	}
	return err
}

// maxReason bounds what a person says of a decision, in bytes.
const maxReason = 16 << 10
