package app

import (
	"context"
	"slices"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
)

// maxWords bounds what is searched for, in bytes.
const maxWords = 200

func checkWords(words string, ids ...string) error {
	if len(words) > maxWords {
		return mgx.Errorf(mgx.KindUsage, "bad_query", "what to search for has at most %d bytes", maxWords)
	}
	if !mgx.IsText(append(ids, words)...) {
		return mgx.Errorf(mgx.KindUsage, "bad_query", "what to search for is no text")
	}
	return nil
}

// Tasks lists the tasks of the actor's workspace, newest first; with words those
// that hold them.
func (w *Work) Tasks(ctx context.Context, actor access.Actor, words, token string, limit int) (Page[mgx.Task], error) {
	var none Page[mgx.Task]
	if err := w.may(ctx, actor, "read", "tasks"); err != nil {
		return none, err
	}
	after, err := readToken(token, 1)
	if err == nil {
		err = checkWords(words)
	}
	if err != nil {
		return none, err
	}
	limit = pageSize(limit)
	all, err := w.o.Store.Tasks(ctx, actor.Workspace, words, mgx.TaskID(after[0]), limit+1)
	return page(all, limit, func(t mgx.Task) []string { return []string{string(t.ID)} }), err
}

// TaskRuns is a task with its runs, the newest first.
type TaskRuns struct {
	mgx.Task
	Runs []mgx.RunInfo `json:"runs"`
}

// maxTaskRuns bounds the runs that come with a task; the rest are listed by Runs.
const maxTaskRuns = 100

// Task returns a task of the actor's workspace with its newest runs.
func (w *Work) Task(ctx context.Context, actor access.Actor, id mgx.TaskID) (TaskRuns, error) {
	var t TaskRuns
	if err := w.o.Access.Authorize(ctx, actor, "read", access.Resource{Kind: "tasks", ID: string(id)}); err != nil {
		return t, err
	}
	if !mgx.IsText(string(id)) {
		return t, noSuch("task", string(id))
	}
	task, err := w.o.Store.Task(ctx, actor.Workspace, id)
	if err != nil {
		return t, err
	}
	runs, err := w.o.Store.RunInfos(ctx, mgx.RunFilter{Workspace: actor.Workspace, Task: id}, "", maxTaskRuns)
	return TaskRuns{task, append([]mgx.RunInfo{}, runs...)}, err
}

// RunsQuery selects runs. What is set narrows the choice.
type RunsQuery struct {
	Statuses []mgx.RunStatus
	Project  mgx.ProjectID
	Task     mgx.TaskID
	User     mgx.UserID
	Text     string // words of the task
	After    string // token of the page before
	Limit    int    // DefaultPage when 0
}

// RunStatuses are the statuses that a run can have.
var RunStatuses = []mgx.RunStatus{mgx.RunQueued, mgx.RunRunning, mgx.RunWaiting, mgx.RunDone, mgx.RunFailed, mgx.RunRefused, mgx.RunCancelled}

// Runs lists the runs of the actor's workspace, newest first.
func (w *Work) Runs(ctx context.Context, actor access.Actor, q RunsQuery) (Page[mgx.RunInfo], error) {
	var none Page[mgx.RunInfo]
	if err := w.may(ctx, actor, "read", "runs"); err != nil {
		return none, err
	}
	for _, s := range q.Statuses {
		if !slices.Contains(RunStatuses, s) || len(q.Statuses) > len(RunStatuses) {
			return none, mgx.Errorf(mgx.KindUsage, "bad_query", "a status is queued, running, waiting, done, failed, refused or cancelled, each named once")
		}
	}
	after, err := readToken(q.After, 1)
	if err == nil {
		err = checkWords(q.Text, string(q.Project), string(q.Task), string(q.User))
	}
	if err != nil {
		return none, err
	}
	limit := pageSize(q.Limit)
	f := mgx.RunFilter{Workspace: actor.Workspace, Statuses: q.Statuses, Project: q.Project, Task: q.Task, User: q.User, Text: q.Text}
	all, err := w.o.Store.RunInfos(ctx, f, mgx.RunID(after[0]), limit+1)
	return page(all, limit, func(r mgx.RunInfo) []string { return []string{string(r.ID)} }), err
}

// Run returns a run of the actor's workspace.
func (w *Work) Run(ctx context.Context, actor access.Actor, id mgx.RunID) (mgx.RunInfo, error) {
	return w.run(ctx, actor, "read", id)
}

// AskedApproval is a decision that a run waits for.
type AskedApproval struct {
	mgx.Approval
	Run     mgx.RunID     `json:"run_id"`
	Task    mgx.TaskInfo  `json:"task"`
	Project mgx.ProjectID `json:"project_id,omitempty"`
	User    mgx.UserID    `json:"user_id,omitempty"` // who asked for the run
	AskedAt time.Time     `json:"asked_at"`          // since when the run waits for a person
	Plan    *mgx.Plan     `json:"plan,omitempty"`    // where that is what is to be approved
}

// Approvals lists what runs of the actor's workspace wait for, those first that
// have waited longest. A page holds all of a run.
func (w *Work) Approvals(ctx context.Context, actor access.Actor, token string, limit int) (Page[AskedApproval], error) {
	var out Page[AskedApproval]
	if err := w.may(ctx, actor, "read", "runs"); err != nil {
		return out, err
	}
	at, after, err := momentToken(token)
	if err != nil {
		return out, err
	}
	limit = pageSize(limit)
	all, err := w.o.Store.AskedRuns(ctx, actor.Workspace, at, mgx.RunID(after), limit+1)
	runs := page(all, limit, func(r mgx.RunInfo) []string { return moment(r.AskedAt, string(r.ID)) })
	out.Next = runs.Next
	for _, r := range runs.Items {
		out.Items = append(out.Items, asked(r)...)
	}
	return out, err
}

func asked(r mgx.RunInfo) (all []AskedApproval) {
	for _, p := range r.Pending() {
		one := AskedApproval{Approval: p, Run: r.ID, Task: r.Task, Project: r.Project, User: r.User, AskedAt: r.AskedAt}
		if p.Hash == r.PlanHash {
			one.Plan = r.Plan
		}
		all = append(all, one)
	}
	return all
}

// ExecutionInfo is an execution as people see it.
type ExecutionInfo struct {
	ID         mgx.ExecutionID     `json:"id"`
	Workflow   string              `json:"workflow"`
	Status     mgx.ExecutionStatus `json:"status"`
	Run        mgx.RunID           `json:"run_id,omitempty"`
	Task       mgx.TaskID          `json:"task_id,omitempty"`
	Project    mgx.ProjectID       `json:"project_id,omitempty"`
	User       mgx.UserID          `json:"user_id,omitempty"`
	Parent     mgx.ExecutionID     `json:"parent_id,omitempty"`
	ParentStep string              `json:"parent_step,omitempty"`
	AtWork     bool                `json:"at_work"` // somebody works on it now
	Awaits     []string            `json:"awaits,omitempty"`
	WakeAt     time.Time           `json:"wake_at,omitzero"`
	Deadline   time.Time           `json:"deadline,omitzero"`
	CancelWhy  string              `json:"cancel_reason,omitempty"`
	Failure    *mgx.Error          `json:"failure,omitempty"`
	Term       int64               `json:"term"` // how often it was taken up
	CreatedAt  time.Time           `json:"created_at"`
	UpdatedAt  time.Time           `json:"updated_at"`
}

func executionInfo(x mgx.Execution) ExecutionInfo {
	return ExecutionInfo{
		ID: x.Execution, Workflow: x.Workflow, Status: x.Status, Run: x.Run, Task: x.Task, Project: x.Project, User: x.User, Parent: x.Parent, ParentStep: x.ParentStep,
		AtWork: x.Owner != "" && x.LeaseUntil.After(time.Now()), Awaits: x.Awaits, WakeAt: x.WakeAt, Deadline: x.Deadline, CancelWhy: x.CancelWhy, Failure: x.Failure,
		Term: x.Term, CreatedAt: x.CreatedAt, UpdatedAt: x.UpdatedAt,
	}
}

// ExecutionsQuery selects executions. What is set narrows the choice.
type ExecutionsQuery struct {
	Run      mgx.RunID
	Statuses []mgx.ExecutionStatus
	After    string // token of the page before
	Limit    int    // DefaultPage when 0
}

// ExecutionStatuses are the statuses that an execution can have.
var ExecutionStatuses = []mgx.ExecutionStatus{mgx.ExecReady, mgx.ExecWaiting, mgx.ExecDone, mgx.ExecFailed, mgx.ExecCancelled}

// Executions lists the executions of the actor's workspace, newest first.
func (w *Work) Executions(ctx context.Context, actor access.Actor, q ExecutionsQuery) (Page[ExecutionInfo], error) {
	var none Page[ExecutionInfo]
	if err := w.may(ctx, actor, "read", "workflows"); err != nil {
		return none, err
	}
	for _, s := range q.Statuses {
		if !slices.Contains(ExecutionStatuses, s) || len(q.Statuses) > len(ExecutionStatuses) {
			return none, mgx.Errorf(mgx.KindUsage, "bad_query", "a status is ready, waiting, done, failed or cancelled, each named once")
		}
	}
	at, after, err := momentToken(q.After)
	if err == nil {
		err = checkWords("", string(q.Run))
	}
	if err != nil {
		return none, err
	}
	limit := pageSize(q.Limit)
	all, err := w.o.Store.ListExecutions(ctx, mgx.ExecutionFilter{Workspace: actor.Workspace, Run: q.Run, Statuses: q.Statuses}, at, mgx.ExecutionID(after), limit+1)
	p := page(all, limit, func(x mgx.Execution) []string { return moment(x.CreatedAt, string(x.Execution)) })
	infos := make([]ExecutionInfo, len(p.Items))
	for i, x := range p.Items {
		infos[i] = executionInfo(x)
	}
	return Page[ExecutionInfo]{infos, p.Next}, err
}

// StepInfo is one step of an execution, for a graph or a timeline.
type StepInfo struct {
	Execution mgx.ExecutionID `json:"execution_id"`
	Name      string          `json:"name"`
	Parent    string          `json:"parent,omitempty"` // what it is a part of, by the name before its last "/"
	Kind      mgx.StepKind    `json:"kind"`
	State     string          `json:"state"` // running, done, failed
	Order     int64           `json:"order,omitempty"`
	Sequence  int64           `json:"sequence,omitempty"` // of the run's stream when it was recorded: where a fork takes it over
	Attempts  int             `json:"attempts"`
	Error     string          `json:"error,omitempty"`
	StartedAt time.Time       `json:"started_at,omitzero"`
	EndedAt   time.Time       `json:"ended_at,omitzero"`
}

// ExecutionSteps is an execution with its steps, in order, and the executions that
// it began. What runs now comes last.
type ExecutionSteps struct {
	ExecutionInfo
	Steps     []StepInfo      `json:"steps"`
	Children  []ExecutionInfo `json:"children"`
	Truncated bool            `json:"truncated,omitempty"` // there are more steps than maxSteps
}

const maxSteps = 10_000

// Execution returns an execution of the actor's workspace.
func (w *Work) Execution(ctx context.Context, actor access.Actor, id mgx.ExecutionID) (ExecutionSteps, error) {
	var out ExecutionSteps
	if err := w.o.Access.Authorize(ctx, actor, "read", access.Resource{Kind: "workflows", ID: string(id)}); err != nil {
		return out, err
	}
	if !mgx.IsText(string(id)) {
		return out, noSuch("execution", string(id))
	}
	x, err := w.o.Store.Execution(ctx, id)
	if mgx.IsCode(err, mgx.CodeNotFound) || err == nil && x.Workspace != actor.Workspace {
		return out, noSuch("execution", string(id))
	}
	if err != nil {
		return out, err
	}
	out.ExecutionInfo = executionInfo(x)
	journal, err := w.o.Store.Journal(ctx, id)
	if err != nil {
		return out, err
	}
	recorded := map[string]bool{}
	out.Steps = []StepInfo{}
	for _, rec := range journal {
		recorded[rec.Name] = true
		if out.Truncated = len(out.Steps) == maxSteps; out.Truncated {
			break
		}
		out.Steps = append(out.Steps, stepOf(rec))
	}
	if !x.Status.Ended() && x.Run != "" && !out.Truncated {
		open, err := w.openSteps(ctx, x, recorded)
		if err != nil {
			return out, err
		}
		out.Steps = append(out.Steps, open...)
	}
	children, err := w.o.Store.ListExecutions(ctx, mgx.ExecutionFilter{Workspace: actor.Workspace, Parent: id}, time.Time{}, "", MaxPage)
	out.Children = []ExecutionInfo{}
	for _, c := range slices.Backward(children) {
		out.Children = append(out.Children, executionInfo(c))
	}
	return out, err
}

func stepOf(rec mgx.StepRecord) StepInfo {
	s := StepInfo{
		Execution: rec.Execution, Name: rec.Name, Parent: partOf(rec.Name), Kind: rec.Kind, State: "done", Order: rec.Order, Sequence: rec.Sequence,
		Attempts: rec.Attempts, StartedAt: rec.StartedAt, EndedAt: rec.RecordedAt,
	}
	if rec.Failure != nil {
		s.State, s.Error = "failed", rec.Failure.Message
	}
	return s
}

func partOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i > 0 {
		return name[:i]
	}
	return ""
}

// recentEvents is how far back in a run's stream what happens now is looked for.
const recentEvents = 500

// openSteps are the steps that have begun and are not recorded, by what the run's
// stream says of late.
func (w *Work) openSteps(ctx context.Context, x mgx.Execution, recorded map[string]bool) ([]StepInfo, error) {
	events, err := w.recent(ctx, x.Workspace, x.Run, recentEvents)
	if err != nil {
		return nil, err
	}
	var open []StepInfo
	for _, e := range events {
		var d mgx.StepStartedData
		if e.Type != mgx.WorkflowStepStarted || e.Execution != x.Execution || e.Erased() || e.Decode(&d) != nil || recorded[d.Step] {
			continue
		}
		one := StepInfo{Execution: x.Execution, Name: d.Step, Parent: partOf(d.Step), Kind: d.Kind, State: "running", Attempts: d.Attempt, StartedAt: e.Time}
		if i := slices.IndexFunc(open, func(s StepInfo) bool { return s.Name == d.Step }); i >= 0 {
			open[i] = one
		} else {
			open = append(open, one)
		}
	}
	return open, nil
}

// recent are the last events of a run's stream, in order.
func (w *Work) recent(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID, n int64) ([]mgx.Event, error) {
	run, err := w.o.Store.RunInfo(ctx, ws, id)
	if err != nil {
		return nil, err
	}
	return w.o.Store.StreamAfter(ctx, mgx.StreamID(id), max(0, run.Sequence-n), int(n))
}
