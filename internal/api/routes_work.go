package api

import (
	"context"

	"mgx"
	"mgx/internal/app"
	"mgx/internal/limit"
)

// Tasks, their runs, what those wait for and what came of them. What an actor may
// do to one run is for package app to say, so all of these ask finer.

// work are the use cases of work, where there is any.
func (s *Server) work(context.Context) (*app.Work, error) {
	if s.o.Work == nil {
		return nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "this server does no work")
	}
	return s.o.Work, nil
}

// badTask are the codes of what cannot be begun.
var badTask = codes{
	"bad_task": 400, "empty_task": 400, "task_too_long": 400, "no_project": 400, "bad_project": 400, "bad_approve": 400, "bad_max_turns": 400, "bad_max_tokens": 400, "bad_timeout": 400,
	"bad_budget": 400, "bad_check": 400, "bad_branch": 400, "no_such_policy": 400, "model_unclear": 400, "conflict": 409, "no_provider": 424, "no_model": 424, "no_key": 424, "bad_models_file": 424, "bad_prices": 424, "outside_roots": 403,
}

// badRepo are the codes of a place that is no repository to work on.
var badRepo = codes{
	"not_a_directory": 400, "not_a_repository": 400, "unreadable_repository": 400, "no_commits": 400, "partial_clone": 400, "bare_repository": 400, "unsafe_repository": 400,
}

// checkedOut are the codes of a machine that cannot work on a repository.
var checkedOut = codes{"git_missing": 503, "sandbox_below_minimum": 424, "sandbox_unavailable": 503, "sandbox_state": 503, "data_unusable": 503}

// sendCodes are those of what cannot be kept that somebody sends.
var sendCodes = codes{"bad_upload": 400, "too_many_uploads": 403, "uploads_busy": 503, "too_many_at_once": 429}

func (s *Server) workRoutes() []route {
	const tasks, runs = "Tasks", "Runs"
	return []route{
		op("GET /api/v1/tasks", to("read", "tasks"), with(s.work, listTasks), about{
			ID: "listTasks", Group: tasks, Short: "List tasks, the newest first",
		}),
		// Its key is that of the execution too, so that asked again it finds the run.
		op("POST /api/v1/tasks", to("create", "tasks"), with(s.work, createTask), about{
			ID: "createTask", Group: tasks, Short: "Have a task done", Made: true, Codes: badTask.and(badRepo).and(codes{"bad_attachment": 400, "data_unusable": 503}),
			Long: "Records the task and a run of it, which a worker takes up. What is not sent is as the server, the workspace and the project have it. " +
				"The project is one of the workspace; only the owner of the data directory names a directory instead.",
		}),
		op("GET /api/v1/tasks/{id}", to("read", "tasks"), with(s.work, getTask), about{
			ID: "getTask", Group: tasks, Short: "Show a task with its newest runs", Kind: "task",
		}),
		op("POST /api/v1/estimates", to("read", "runs"), with(s.work, estimate), about{
			ID: "estimateTask", Group: tasks, Short: "Say what a task may take, by what similar runs took", Status: 200,
			Long: "Runs of the workspace that ended count, the last 200 at most. Where there are fewer than three it says so and nothing else: runs is 0.",
		}),
		op("GET /api/v1/runs", to("read", "runs"), with(s.work, listRuns), about{
			ID: "listRuns", Group: runs, Short: "List runs, the newest first",
			Long: "Without what is long: descriptions, plans, checks, reviews, answers and policies are with a single run.",
		}),
		op("GET /api/v1/runs/{id}", to("read", "runs"), with(s.work, getRun), about{
			ID: "getRun", Group: runs, Short: "Show a run", Kind: "run",
		}, finer),
		op("POST /api/v1/runs/{id}/cancel", to("update", "runs"), with(s.work, cancelRun), about{
			ID: "cancelRun", Group: runs, Short: "Stop a run for good", Codes: codes{"already_ended": 400, "bad_reason": 400}, Status: 202,
			Long: "Whoever works on it stops within a second. Asking again changes nothing.",
		}, finer),
		op("POST /api/v1/runs/{id}/fork", to("create", "runs"), with(s.work, forkRun), about{
			ID: "forkRun", Group: runs, Short: "Start a new run from a moment of another", Made: true, Codes: codes{"bad_sequence": 400, "conflict": 409, mgx.CodeErased: 410},
			Long: "What was done by then is not done again, and the files are as they were.",
		}, finer),
		op("GET /api/v1/runs/{id}/replay", to("read", "runs"), with(s.work, replayRun), about{
			ID: "replayRun", Group: runs, Short: "Run the workflow code of a run again, offline, against its journal", Codes: codes{mgx.CodeErased: 410},
			Long: "No model is called, no tool runs and nothing is written. It says whether every decision came out the same.",
		}, finer),
		op("GET /api/v1/runs/{id}/diff", to("read", "artifacts"), with(s.work, getDiff), about{
			ID: "getDiff", Group: runs, Short: "Show what a run has changed so far", Codes: codes{mgx.CodeErased: 410, limit.CodeTooManyAtOnce: 429},
			Long: "The text is cut at 4 MB, and says so.",
		}, finer),
		op("GET /api/v1/runs/{id}/artifacts", to("read", "artifacts"), with(s.work, listArtifacts), about{
			ID: "listArtifacts", Group: runs, Short: "List what a run has made, and what it was given", Codes: codes{mgx.CodeErased: 410},
		}, finer),
		plain[artifactIn, none]("GET /api/v1/runs/{id}/artifacts/{name}", s.getArtifact, to("read", "artifacts"), about{
			ID: "getArtifact", Group: runs, Short: "Fetch an artifact, by its name or its digest", Codes: codes{mgx.CodeErased: 410, codeRange: 416, limit.CodeTooManyAtOnce: 429}, Type: "application/octet-stream",
			Long: "Those that are kept can be fetched, in parts too. Browsers save it and do not show it.", Parts: true,
		}, finer),
		plain[At[mgx.RunID], none]("GET /api/v1/runs/{id}/branch", s.getBranch, to("read", "artifacts"), about{
			ID: "getBranch", Group: runs, Short: "Fetch the branch that a run delivered, as a bundle of git", Codes: codes{mgx.CodeErased: 410}.and(checkedOut), Type: typeBundle, Status: 200,
			Long: "It builds on the commit that the run began with. Its branch and its commit are in the headers.",
		}, finer, bulky),
		plain[uploadIn, uploadOut]("PUT /api/v1/uploads/{digest}", s.putUpload, to("create", "tasks"), about{
			ID: "putUpload", Group: tasks, Short: "Send a repository that tasks are to be done on", Codes: sendCodes.and(checkedOut),
			Long: "A bundle of git with one head and all of its history, 256 MB at most, named by the SHA-256 of its bytes. To send the same again changes nothing. " +
				"A task names the digest as its upload; what no task names goes again after a day.",
		}, bulky),
		plain[attachmentIn, attachmentOut]("PUT /api/v1/attachments/{digest}", s.putAttachment, to("create", "tasks"), about{
			ID: "putAttachment", Group: tasks, Short: "Send a file that tasks can attach", Codes: sendCodes.and(codes{"data_unusable": 503}),
			Long: "64 MB at most, named by the SHA-256 of its bytes. To send the same again changes nothing. A task names it among its attachments within a day; its agents can read it, and label what they read as untrusted.",
		}, bulky),
		op("GET /api/v1/approvals", to("read", "runs"), with(s.work, listApprovals), about{
			ID: "listApprovals", Group: "Approvals", Short: "List what runs wait for a person to decide, the longest waiting first",
			Long: "A page has `limit` runs, with all that each of them waits for.",
		}),
		op("POST /api/v1/runs/{id}/approvals/{approval}", to("approve", "runs"), with(s.work, decide), about{
			ID: "decideApproval", Group: "Approvals", Short: "Decide what a run waits for", Status: 202,
			Long:  "The decision counts for what has the hash, and nothing else: what was shown is what is decided on. The first decision counts.",
			Codes: codes{"other_hash": 403, "nothing_to_decide": 400, "no_such_approval": 400, "several_pending": 400, "bad_rest": 400, "bad_reason": 400, app.CodeDecided: 409, app.CodeOpenComments: 409, app.CodeNotApproved: 409},
		}, finer),
		op("GET /api/v1/executions", to("read", "workflows"), with(s.work, listExecutions), about{
			ID: "listExecutions", Group: "Executions", Short: "List executions of workflows, the newest first",
		}),
		op("GET /api/v1/executions/{id}", to("read", "workflows"), with(s.work, getExecution), about{
			ID: "getExecution", Group: "Executions", Short: "Show an execution with its steps, for a graph or a timeline",
		}),
		op("GET /api/v1/agents", to("read", "agents"), with(s.work, listAgents), about{
			ID: "listAgents", Group: "Agents", Short: "List the roles of the team, and what each does now",
		}),
	}
}

type tasksIn struct {
	Paged
	Text string `query:"text" doc:"Only those with these words" maxLength:"200"`
}

type tasksOut struct {
	Body struct {
		Tasks []mgx.Task `json:"tasks"`
		Next  string     `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
	} `nameHint:"TaskPage"`
}

func listTasks(ctx context.Context, w *app.Work, in *tasksIn) (*tasksOut, error) {
	page, err := w.Tasks(ctx, actor(ctx), in.Text, in.Page, in.Limit)
	out := &tasksOut{}
	out.Body.Tasks, out.Body.Next = every(page.Items), page.Next
	return out, err
}

type newTask struct {
	Text      string        `json:"task" doc:"What is wanted, in words" minLength:"1" maxLength:"65536" example:"Add a /healthz endpoint with a test."`
	Project   mgx.ProjectID `json:"project_id,omitempty" doc:"On which project of the workspace" maxLength:"200" example:"proj_01JDT0000000000000000000P1"`
	Repo      string        `json:"repo,omitempty" doc:"Or in which directory of the server; for the owner of the data directory alone" maxLength:"4096"`
	Upload    string        `json:"upload,omitempty" doc:"Or on which repository that was sent, by its digest: see putUpload" maxLength:"100"`
	Model     string        `json:"model,omitempty" doc:"provider/model, or a routing policy" maxLength:"200" example:"auto"`
	Approve   string        `json:"approve,omitempty" doc:"Who decides on plans, and on calls that the policy asks about" enum:"auto,ask,never"`
	Plan      bool          `json:"plan,omitempty" doc:"Plan first, whatever the size"`
	Policy    string        `json:"policy,omitempty" doc:"Built-in permission policy; where the project has one, another is for admins" maxLength:"100" example:"ask"`
	Budget    *mgx.Money    `json:"budget_usd,omitempty" doc:"Most that the run may spend, in US dollars" minimum:"0" maximum:"1000000000"`
	MaxTurns  int           `json:"max_turns,omitempty" doc:"Most model turns" minimum:"1" maximum:"10000"`
	MaxTokens int64         `json:"max_tokens,omitempty" doc:"Most tokens in and out" minimum:"1"`
	Timeout   int64         `json:"timeout_seconds,omitempty" doc:"Longest that it may work" minimum:"1" maximum:"2592000"`
	Checks    []string      `json:"checks,omitempty" doc:"Commands that must succeed; without them they are found from the repository" maxItems:"50" maxLength:"4096"`
	Branch    string        `json:"branch,omitempty" doc:"Name of the branch to deliver" maxLength:"200"`

	Attachments []app.Attached `json:"attachments,omitempty" doc:"Files that were sent, for agents to read: see putAttachment" maxItems:"32"`
}

type madeRun struct {
	Location string `header:"Location" doc:"Where the run is"`
	Body     mgx.RunInfo
}

func createTask(ctx context.Context, w *app.Work, in *struct{ Body newTask }) (*madeRun, error) {
	b := in.Body
	run, _, err := w.Start(ctx, actor(ctx), app.NewTask{
		Text: b.Text, Project: b.Project, Repo: b.Repo, Upload: b.Upload, Model: b.Model, Approve: b.Approve, Plan: b.Plan, Policy: b.Policy, Budget: b.Budget, MaxTurns: b.MaxTurns,
		MaxTokens: b.MaxTokens, Timeout: b.Timeout, Checks: b.Checks, Branch: b.Branch, Attachments: b.Attachments, IdempotencyKey: requestOf(ctx).Header.Get(keyHeader), Source: "api",
	})
	if err != nil {
		return nil, err
	}
	return begun(ctx, run), nil
}

// begun is the answer with a run that was just made.
func begun(ctx context.Context, run mgx.Run) *madeRun {
	info := mgx.RunInfo{Run: run, Project: mgx.ProjectOf(run.Repo.Path), User: actor(ctx).User}
	return &madeRun{"/api/v1/runs/" + string(run.ID), info.Whole()}
}

type taskOut struct {
	Body app.TaskRuns
}

func getTask(ctx context.Context, w *app.Work, in *At[mgx.TaskID]) (*taskOut, error) {
	t, err := w.Task(ctx, actor(ctx), in.ID)
	for i, r := range t.Runs {
		t.Runs[i] = r.Brief()
	}
	return &taskOut{t}, err
}

type estimateIn struct {
	Body struct {
		Project mgx.ProjectID `json:"project_id,omitempty" doc:"On which project" maxLength:"200"`
		Model   string        `json:"model,omitempty" doc:"With which model" maxLength:"200"`
	} `nameHint:"EstimateQuestion"`
}

type estimateOut struct {
	Body app.Estimate
}

func estimate(ctx context.Context, w *app.Work, in *estimateIn) (*estimateOut, error) {
	e, err := w.Estimate(ctx, actor(ctx), in.Body.Project, in.Body.Model)
	return &estimateOut{e}, err
}

type runsIn struct {
	Paged
	Status  []string      `query:"status" doc:"Only these; several with commas or by naming it several times" enum:"queued,running,waiting,done,failed,refused,cancelled" maxItems:"7" uniqueItems:"true"`
	Project mgx.ProjectID `query:"project_id" doc:"Only of this project" maxLength:"200"`
	Task    mgx.TaskID    `query:"task_id" doc:"Only of this task" maxLength:"200"`
	User    mgx.UserID    `query:"user_id" doc:"Only what this person asked for" maxLength:"200"`
	Text    string        `query:"text" doc:"Only of tasks with these words" maxLength:"200"`
}

type runsOut struct {
	Body struct {
		Runs []mgx.RunInfo `json:"runs"`
		Next string        `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
	} `nameHint:"RunPage"`
}

func listRuns(ctx context.Context, w *app.Work, in *runsIn) (*runsOut, error) {
	q := app.RunsQuery{Project: in.Project, Task: in.Task, User: in.User, Text: in.Text, After: in.Page, Limit: in.Limit}
	for _, s := range in.Status {
		q.Statuses = append(q.Statuses, mgx.RunStatus(s))
	}
	page, err := w.Runs(ctx, actor(ctx), q)
	out := &runsOut{}
	out.Body.Runs, out.Body.Next = every(page.Items), page.Next
	for i, r := range out.Body.Runs {
		out.Body.Runs[i] = r.Brief()
	}
	return out, err
}

type runOut struct {
	Body mgx.RunInfo
}

func getRun(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*runOut, error) {
	run, err := w.Run(ctx, actor(ctx), in.ID)
	return &runOut{run.Whole()}, err
}

type cancelIn struct {
	At[mgx.RunID]
	Body struct {
		Reason string `json:"reason,omitempty" doc:"Why, for the record" maxLength:"16384"`
	} `nameHint:"Cancellation"`
}

func cancelRun(ctx context.Context, w *app.Work, in *cancelIn) (*none, error) {
	return &none{}, w.Cancel(ctx, actor(ctx), in.ID, in.Body.Reason)
}

type forkIn struct {
	At[mgx.RunID]
	Body struct {
		At int64 `json:"at" doc:"Sequence of the last event to take over" minimum:"1"`
	} `nameHint:"Fork"`
}

func forkRun(ctx context.Context, w *app.Work, in *forkIn) (*madeRun, error) {
	run, _, err := w.Fork(ctx, actor(ctx), in.ID, app.NewFork{At: in.Body.At, IdempotencyKey: requestOf(ctx).Header.Get(keyHeader)})
	if err != nil {
		return nil, err
	}
	return begun(ctx, run), nil
}

type diffOut struct {
	Body app.Diff
}

func getDiff(ctx context.Context, w *app.Work, in *At[mgx.RunID]) (*diffOut, error) {
	d, err := w.Diff(ctx, actor(ctx), in.ID)
	return &diffOut{d}, err
}

type approvalsOut struct {
	Body struct {
		Approvals []app.AskedApproval `json:"approvals"`
		Next      string              `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
	} `nameHint:"ApprovalPage"`
}

func listApprovals(ctx context.Context, w *app.Work, in *Paged) (*approvalsOut, error) {
	page, err := w.Approvals(ctx, actor(ctx), in.Page, in.Limit)
	out := &approvalsOut{}
	out.Body.Approvals, out.Body.Next = every(page.Items), page.Next
	return out, err
}

type decideIn struct {
	At[mgx.RunID]
	Approval string `path:"approval" doc:"Its id, without decision/ before it, or eight characters or more of its hash" maxLength:"200"`
	Body     struct {
		Approved bool   `json:"approved" doc:"Yes or no; with a reason, yes answers a question"`
		Hash     string `json:"hash" doc:"Of what was looked at" minLength:"1" maxLength:"200"`
		Rest     bool   `json:"rest,omitempty" doc:"Allow the same for the rest of the run; tool calls only"`
		Reason   string `json:"reason,omitempty" doc:"Why not, or the answer to a question" maxLength:"16384"`
	} `nameHint:"Decision"`
}

func decide(ctx context.Context, w *app.Work, in *decideIn) (*none, error) {
	b := in.Body
	return &none{}, w.Decide(ctx, actor(ctx), in.ID, app.Answer{Approval: in.Approval, Approved: b.Approved, Rest: b.Rest, Reason: b.Reason, Hash: b.Hash})
}

type executionsIn struct {
	Paged
	Run    mgx.RunID `query:"run_id" doc:"Only of this run" maxLength:"200"`
	Status []string  `query:"status" doc:"Only these; several with commas or by naming it several times" enum:"ready,waiting,done,failed,cancelled" maxItems:"5" uniqueItems:"true"`
}

type executionsOut struct {
	Body struct {
		Executions []app.ExecutionInfo `json:"executions"`
		Next       string              `json:"next_page_token,omitempty" doc:"Of the next page, if there is one"`
	} `nameHint:"ExecutionPage"`
}

func listExecutions(ctx context.Context, w *app.Work, in *executionsIn) (*executionsOut, error) {
	q := app.ExecutionsQuery{Run: in.Run, After: in.Page, Limit: in.Limit}
	for _, s := range in.Status {
		q.Statuses = append(q.Statuses, mgx.ExecutionStatus(s))
	}
	page, err := w.Executions(ctx, actor(ctx), q)
	out := &executionsOut{}
	out.Body.Executions, out.Body.Next = every(page.Items), page.Next
	return out, err
}

type executionOut struct {
	Body app.ExecutionSteps
}

func getExecution(ctx context.Context, w *app.Work, in *At[mgx.ExecutionID]) (*executionOut, error) {
	x, err := w.Execution(ctx, actor(ctx), in.ID)
	return &executionOut{x}, err
}

type agentsOut struct {
	Body struct {
		Agents []app.AgentInfo `json:"agents"`
	} `nameHint:"AgentList"`
}

func listAgents(ctx context.Context, w *app.Work, _ *none) (*agentsOut, error) {
	all, err := w.Agents(ctx, actor(ctx))
	out := &agentsOut{}
	out.Body.Agents = every(all)
	return out, err
}
