package client

import (
	"context"
	"crypto/rand"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"mgx"
)

// Runs are those of the workspace, and the tasks that they are attempts at.
type Runs struct{ c *Client }

// Runs is what can be done with runs.
func (c *Client) Runs() Runs { return Runs{c} }

// NewTask is what somebody wants done. What is left out is as the server, the
// workspace and the project have it.
type NewTask struct {
	Text    string        `json:"task"` // in words
	Project mgx.ProjectID `json:"project_id,omitempty"`
	Repo    string        `json:"repo,omitempty"`   // or a directory of the server's machine; only the owner of its data names one
	Upload  string        `json:"upload,omitempty"` // or a repository that was sent, by its digest

	Model     string     `json:"model,omitempty"`
	Approve   string     `json:"approve,omitempty"` // auto, ask, never
	Plan      bool       `json:"plan,omitempty"`
	Policy    string     `json:"policy,omitempty"`
	Budget    *mgx.Money `json:"budget_usd,omitempty"`
	MaxTurns  int        `json:"max_turns,omitempty"`
	MaxTokens int64      `json:"max_tokens,omitempty"`
	Timeout   int64      `json:"timeout_seconds,omitempty"`
	Checks    []string   `json:"checks,omitempty"`
	Branch    string     `json:"branch,omitempty"`

	Attachments []Attached `json:"attachments,omitempty"` // files that were sent
}

// Attached is a file that was sent, for the agents of a run to read.
type Attached struct {
	Name   string `json:"name"` // that agents see; an archive (tar, tar.gz, zip) is unpacked
	Digest string `json:"digest"`
}

// Start has a task done: it is recorded with a run of it, which the server then
// works on.
func (r Runs) Start(ctx context.Context, n NewTask) (run mgx.RunInfo, err error) {
	return run, r.c.create(ctx, "/api/v1/tasks", rand.Text(), n, &run)
}

// List lists runs of the workspace that f selects, the newest first, without what is
// long: Get has that.
func (r Runs) List(ctx context.Context, f mgx.RunFilter) iter.Seq2[mgx.RunInfo, error] {
	q := url.Values{"limit": {"200"}}
	for name, text := range map[string]string{"project_id": string(f.Project), "task_id": string(f.Task), "user_id": string(f.User), "text": f.Text} {
		if text != "" {
			q.Set(name, text)
		}
	}
	for _, s := range f.Statuses {
		q.Add("status", string(s))
	}
	return each[mgx.RunInfo](ctx, r.c, "/api/v1/runs", "runs", q)
}

// Tasks lists tasks, the newest first; with words those that have them.
func (r Runs) Tasks(ctx context.Context, words string) iter.Seq2[mgx.Task, error] {
	q := url.Values{"limit": {"200"}}
	if words != "" {
		q.Set("text", words)
	}
	return each[mgx.Task](ctx, r.c, "/api/v1/tasks", "tasks", q)
}

// TaskRuns is a task with its newest runs.
type TaskRuns struct {
	mgx.Task
	Runs []mgx.RunInfo `json:"runs"`
}

// Task returns a task with its newest runs, without what is long of those.
func (r Runs) Task(ctx context.Context, id mgx.TaskID) (t TaskRuns, err error) {
	return t, r.c.get(ctx, "/api/v1/tasks/"+url.PathEscape(string(id)), nil, &t)
}

// Get returns a run as it stands.
func (r Runs) Get(ctx context.Context, id mgx.RunID) (run mgx.RunInfo, err error) {
	return run, r.c.get(ctx, runPath(id), nil, &run)
}

// AskedApproval is a decision that a run waits for.
type AskedApproval struct {
	mgx.Approval
	Run     mgx.RunID     `json:"run_id"`
	Task    mgx.TaskInfo  `json:"task"`
	Project mgx.ProjectID `json:"project_id,omitempty"`
	User    mgx.UserID    `json:"user_id,omitempty"` // who asked for the run
	AskedAt time.Time     `json:"asked_at"`
	Plan    *mgx.Plan     `json:"plan,omitempty"` // where that is what is to be approved
}

// Approvals lists what runs wait for a person to decide, the longest waiting first.
func (r Runs) Approvals(ctx context.Context) iter.Seq2[AskedApproval, error] {
	return each[AskedApproval](ctx, r.c, "/api/v1/approvals", "approvals", url.Values{"limit": {"200"}})
}

// Decision is an answer to what a run waits for.
type Decision struct {
	Approved bool   `json:"approved"`
	Hash     string `json:"hash"`             // of what was looked at
	Rest     bool   `json:"rest,omitempty"`   // also the same for the rest of the run
	Reason   string `json:"reason,omitempty"` // why not, or the answer to a question
}

// Decide answers what a run waits for, by the id of the approval.
func (r Runs) Decide(ctx context.Context, id mgx.RunID, approval string, d Decision) error {
	path := runPath(id) + "/approvals/" + url.PathEscape(strings.TrimPrefix(approval, "decision/"))
	return r.c.send(ctx, http.MethodPost, path, nil, d, nil)
}

// Cancel asks for a run to be stopped for good.
func (r Runs) Cancel(ctx context.Context, id mgx.RunID, why string) error {
	return r.c.send(ctx, http.MethodPost, runPath(id)+"/cancel", nil, map[string]string{"reason": why}, nil)
}

// Fork starts a new run from another's journal up to a sequence of its stream.
func (r Runs) Fork(ctx context.Context, id mgx.RunID, at int64) (run mgx.RunInfo, err error) {
	return run, r.c.create(ctx, runPath(id)+"/fork", rand.Text(), map[string]int64{"at": at}, &run)
}

// Diff is what a run has changed.
type Diff struct {
	Base  string     `json:"base"`
	Tree  string     `json:"tree"` // empty: nothing
	Files []DiffFile `json:"files"`
	Text  string     `json:"text"`
}

// DiffFile is one file of it.
type DiffFile struct {
	Path      string `json:"path"`
	OldPath   string `json:"old_path,omitempty"`
	Status    string `json:"status"`
	Additions int    `json:"additions"`
	Deletions int    `json:"deletions"`
	Binary    bool   `json:"binary,omitempty"`
}

// Diff is what a run has changed so far.
func (r Runs) Diff(ctx context.Context, id mgx.RunID) (d Diff, err error) {
	return d, r.c.get(ctx, runPath(id)+"/diff", nil, &d)
}

// Artifact is something that a run has made, or was given.
type Artifact struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"` // patch, plan, checks, review, answer, branch, attachment
	Media  string `json:"media_type,omitempty"`
	Digest string `json:"digest,omitempty"`
	Size   int64  `json:"size,omitempty"` // in bytes
	Kept   bool   `json:"kept"`           // it can be fetched
	Detail string `json:"detail,omitempty"`
}

// Artifacts lists what a run has made by now, and what it was given.
func (r Runs) Artifacts(ctx context.Context, id mgx.RunID) ([]Artifact, error) {
	var all struct {
		Artifacts []Artifact `json:"artifacts"`
	}
	return all.Artifacts, r.c.get(ctx, runPath(id)+"/artifacts", nil, &all)
}

// Artifact fetches an artifact by its name or digest, of 64 MB at most. The bytes are
// what agents wrote, and no more to be trusted than they are.
func (r Runs) Artifact(ctx context.Context, id mgx.RunID, name string) (media string, content []byte, err error) {
	if name == "" || name == "." || name == ".." { // in a path these would be another address
		return "", nil, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "no artifact has the name %q", name)
	}
	ctx, stop := context.WithTimeout(ctx, fileWait)
	defer stop()
	req, err := r.c.request(ctx, http.MethodGet, runPath(id)+"/artifacts/"+url.PathEscape(name), nil, nil)
	if err != nil {
		return "", nil, err
	}
	resp, content, err := r.c.answer(ctx, req)
	if err != nil {
		return "", nil, err
	}
	media, _, _ = mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return media, content, nil
}

// Estimate is what a task may take, by what similar runs took. It says nothing when
// there were too few.
type Estimate struct {
	Model    string            `json:"model,omitempty"`
	Basis    string            `json:"basis,omitempty"` // which runs: project_and_model, project, model, workspace
	Runs     int               `json:"runs"`
	Done     int               `json:"done"` // of which reached their goal
	Oldest   time.Time         `json:"oldest,omitzero"`
	Duration *Range[int64]     `json:"duration_ms,omitempty"`
	Tokens   *Range[int64]     `json:"tokens,omitempty"`
	Cost     *Range[mgx.Money] `json:"cost_usd,omitempty"`
	Unpriced bool              `json:"cost_unknown,omitempty"` // some cost more
}

// Range is the median, and the values between which nine of ten are.
type Range[T ~int64] struct {
	Median T `json:"median"`
	Low    T `json:"p5"`
	High   T `json:"p95"`
}

// Estimate says what a task on a project, with a model, may take; both may be empty.
func (r Runs) Estimate(ctx context.Context, project mgx.ProjectID, model string) (e Estimate, err error) {
	body := map[string]string{"project_id": string(project), "model": model}
	return e, r.c.send(ctx, http.MethodPost, "/api/v1/estimates", nil, body, &e)
}

// Replay says whether the workflow's code still decides as it did in a run.
type Replay struct {
	Steps      int         `json:"steps"` // records that were compared
	Identical  bool        `json:"identical"`
	Difference *Difference `json:"difference"` // the first
}

// Difference is a place where the code and the journal of a run part.
type Difference struct {
	Execution mgx.ExecutionID `json:"execution"`
	Step      string          `json:"step"` // empty: the result of the whole execution
	Recorded  string          `json:"recorded"`
	Asked     string          `json:"asked"` // what the code asks for now
}

// Replay has the server run the workflow code of a run again from its journal.
func (r Runs) Replay(ctx context.Context, id mgx.RunID) (report Replay, err error) {
	return report, r.c.get(ctx, runPath(id)+"/replay", nil, &report)
}

// eventsPage is how many events come at once.
const eventsPage = 500

// Events yields the events of a run that there are, in order.
func (r Runs) Events(ctx context.Context, id mgx.RunID) iter.Seq2[mgx.Event, error] {
	return func(yield func(mgx.Event, error) bool) { r.events(ctx, id, yield) }
}

// events yields them and returns what resumes after the last one; empty: it is over.
func (r Runs) events(ctx context.Context, id mgx.RunID, yield func(mgx.Event, error) bool) (resume string) {
	q := EventQuery{Channels: channelOf(id), Limit: eventsPage}
	for {
		page, err := r.c.Events(ctx, q)
		if err == nil && page.NextPage != "" && page.NextPage == q.Page {
			err = r.c.strange("its log goes round in circles")
		}
		if err != nil {
			yield(mgx.Event{}, err)
			return ""
		}
		for _, e := range page.Events {
			if !yield(e, nil) {
				return ""
			}
		}
		if page.NextPage == "" {
			return page.Resume
		}
		q.Page = page.NextPage
	}
}

// Follow yields the events of a run's own stream after a sequence, each once and in
// order: those there are and then those that come, until the loop is left, ctx ends
// or an error is final. Live and lost are as in StreamOptions.
func (r Runs) Follow(ctx context.Context, id mgx.RunID, after int64, live func(Live), lost func(error)) iter.Seq2[mgx.Event, error] {
	return func(yield func(mgx.Event, error) bool) {
		own := func(e mgx.Event, err error) bool {
			if err == nil && (e.Stream != mgx.StreamID(id) || e.Sequence <= after) {
				return true
			}
			after = max(after, e.Sequence)
			return yield(e, err)
		}
		resume := r.events(ctx, id, own)
		if resume == "" {
			return
		}
		for e, err := range r.c.Stream(ctx, StreamOptions{Channels: channelOf(id), Resume: resume, Live: live, Lost: lost}) {
			if !own(e, err) {
				return
			}
		}
	}
}

func channelOf(id mgx.RunID) []string { return []string{"run:" + string(id)} }

func runPath(id mgx.RunID) string { return "/api/v1/runs/" + url.PathEscape(string(id)) }
