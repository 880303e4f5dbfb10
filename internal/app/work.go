package app

import (
	"context"
	"encoding/base64"
	"strings"
	"time"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/workflow"
)

// WorkStore keeps tasks, runs, executions and projects; *store.Store documents and
// is one.
type WorkStore interface {
	ProjectStore
	Commit(ctx context.Context, c mgx.Change) (mgx.Committed, error)
	Task(ctx context.Context, ws mgx.WorkspaceID, id mgx.TaskID) (mgx.Task, error)
	Tasks(ctx context.Context, ws mgx.WorkspaceID, words string, after mgx.TaskID, limit int) ([]mgx.Task, error)
	RunInfo(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.RunInfo, error)
	RunInfos(ctx context.Context, f mgx.RunFilter, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
	AskedRuns(ctx context.Context, ws mgx.WorkspaceID, since time.Time, after mgx.RunID, limit int) ([]mgx.RunInfo, error)
	Execution(ctx context.Context, x mgx.ExecutionID) (mgx.Execution, error)
	ListExecutions(ctx context.Context, f mgx.ExecutionFilter, made time.Time, after mgx.ExecutionID, limit int) ([]mgx.Execution, error)
	Journal(ctx context.Context, x mgx.ExecutionID) ([]mgx.StepRecord, error)
	Signals(ctx context.Context, x mgx.ExecutionID, name string) ([]mgx.Signal, error)
	// EventsAfter returns events of a run, of given types, after a position.
	EventsAfter(ctx context.Context, ws mgx.WorkspaceID, stream mgx.StreamID, run mgx.RunID, types []string, position int64, limit int) ([]mgx.Event, error)
	// StreamAfter returns events of a stream after a sequence, in order.
	StreamAfter(ctx context.Context, stream mgx.StreamID, sequence int64, limit int) ([]mgx.Event, error)

	Project(ctx context.Context, ws mgx.WorkspaceID, id mgx.ProjectID) (mgx.Project, error)
	Projects(ctx context.Context, ws mgx.WorkspaceID, after string, limit int) ([]mgx.Project, error)
	CreateProject(ctx context.Context, by mgx.Doer, p mgx.Project) (stored mgx.Project, created bool, err error)
	RenameProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID, name string) error
	RemoveProject(ctx context.Context, by mgx.Doer, id mgx.ProjectID) error
}

// Host is the machine on which runs work: its repositories, what runs begin with
// there, and their files.
type Host interface {
	// Inspect looks at the repository that contains a directory. It changes nothing.
	Inspect(ctx context.Context, dir string) (Checkout, error)
	// Settings are what a run of a workspace on a repository begins with, by the
	// configuration of the machine and what is set for the project. An empty model is
	// the workspace's default; one that the workspace cannot call is an error.
	Settings(ctx context.Context, ws mgx.WorkspaceID, repo, model string) (mgx.RunSettings, error)
	// CheckSetting returns a setting of a project as it is kept. Only a trusted one may
	// name files of the machine.
	CheckSetting(repo, name, value string, trusted bool) (string, error)
	// CheckBranch refuses what cannot be the name of a branch to deliver.
	CheckBranch(name string) error
	// CopyFiles makes a fork's files from those of the run it forks.
	CopyFiles(from, to mgx.RunID) error
	// Diff is what a run has changed so far.
	Diff(ctx context.Context, run mgx.Run) (Diff, error)
}

// Checkout is a repository as a machine has it.
type Checkout struct {
	mgx.RepoInfo
	Parts []string // directories outside of Path that git reads for it
}

// Work is what people do with tasks, runs, approvals, projects and executions, each
// in the workspace in which they act. What they may is for [Access.Authorize] to say;
// whatever changes something commits its entry of the audit log with it.
//
// A task, a run or a project of another workspace is as good as none. An actor who
// may not see a kind of thing does not learn whether there is one.
type Work struct {
	o     WorkOptions
	seats *seats
	then  thens
}

// WorkOptions are what Work works with. All but Roots and Uploads are required.
type WorkOptions struct {
	Access *Access
	Store  WorkStore
	Engine *workflow.Engine
	Host   Host
	// Roots are directories of the machine below which admins find repositories for
	// their workspaces: each in the directory that has the workspace's id for a name.
	Roots []string
	// Uploads keeps repositories that people send; nil: none are taken.
	Uploads Uploads
}

// NewWork returns the use cases of work.
func NewWork(o WorkOptions) *Work {
	return &Work{o: o, seats: newSeats()}
}

// Page is a part of a list. Next is the token of the page after it; empty: there
// is none.
type Page[T any] struct {
	Items []T
	Next  string
}

// Bounds of pages.
const (
	DefaultPage = 50
	MaxPage     = 500
)

// page cuts a list that was asked for with one more than the page has, and names
// the last of the page.
func page[T any](all []T, limit int, token func(T) []string) Page[T] {
	if len(all) <= limit {
		return Page[T]{Items: all}
	}
	all = all[:limit]
	return Page[T]{Items: all, Next: tokenOf(token(all[limit-1])...)}
}

func pageSize(limit int) int {
	switch {
	case limit <= 0:
		return DefaultPage
	case limit > MaxPage:
		return MaxPage
	}
	return limit
}

// tokenOf makes a page token, which says nothing to people. The parts hold no tabs.
func tokenOf(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\t")))
}

// readToken reads a token of so many parts; an empty one has empty parts.
func readToken(token string, n int) ([]string, error) {
	if token == "" {
		return make([]string, n), nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	parts := strings.Split(string(raw), "\t")
	if err != nil || len(raw) > 500 || len(parts) != n || !mgx.IsText(parts...) {
		return nil, badToken()
	}
	return parts, nil
}

func badToken() error {
	return mgx.Errorf(mgx.KindUsage, "bad_page_token", "that is no page token of this list; take next_page_token of the page before")
}

// momentToken reads a token of a moment and an id.
func momentToken(token string) (at time.Time, id string, err error) {
	parts, err := readToken(token, 2)
	if err != nil || token == "" {
		return at, "", err
	}
	if at, err = time.Parse(time.RFC3339Nano, parts[0]); err != nil {
		return at, "", badToken()
	}
	return at, parts[1], nil
}

func moment(at time.Time, id string) []string {
	return []string{at.UTC().Format(time.RFC3339Nano), id}
}

// noSuch is the error for a thing that is not there, or is another workspace's.
func noSuch(what, id string) error {
	return mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no %s %q in this workspace", what, id)
}

// may asks whether an actor may do something to a kind of thing in its workspace.
func (w *Work) may(ctx context.Context, actor access.Actor, action, kind string) error {
	return w.o.Access.Authorize(ctx, actor, action, access.Resource{Kind: kind})
}

// run finds a run and asks whether an actor may do something with it.
func (w *Work) run(ctx context.Context, actor access.Actor, action string, id mgx.RunID) (mgx.RunInfo, error) {
	return w.runFor(ctx, actor, action, "runs", id)
}

// runFor does so for a thing of a run.
func (w *Work) runFor(ctx context.Context, actor access.Actor, action, kind string, id mgx.RunID) (mgx.RunInfo, error) {
	run, err := mgx.RunInfo{}, noSuch("run", string(id))
	if mgx.IsText(string(id)) {
		run, err = w.o.Store.RunInfo(ctx, actor.Workspace, id)
	}
	if mgx.IsCode(err, mgx.CodeNotFound) {
		if no := w.may(ctx, actor, action, kind); no != nil {
			return run, no
		}
		return run, noSuch("run", string(id))
	}
	if err != nil {
		return run, err
	}
	err = w.o.Access.Authorize(ctx, actor, action, access.Resource{Kind: kind, ID: string(id), User: run.User})
	if err == nil && action != "read" { // of what is erased nothing is changed, and nothing made
		err = run.NotErased()
	}
	return run, err
}

// act is the entry of the audit log for what an actor does. With a key it is made
// once: what has the same key is the same act.
func act(actor access.Actor, action, resource string, after any, key ...string) mgx.Event {
	by := actor.Doer()
	d := mgx.AuditData{
		Actor: by.Actor, Action: action, Resource: resource, Decision: mgx.AuditAllowed, Request: by.Request,
		Details: &mgx.AuditDetails{From: by.From, Agent: by.Agent, After: jsonOf(after)},
	}
	e := mgx.NewAudit(by.Workspace, d)
	if len(key) > 0 {
		e.ID = mgx.IDOf[mgx.EventID]("evt", append([]string{action, string(by.Workspace)}, key...)...)
	}
	return e
}

// whoActs is who acts, for what a run says of it.
func whoActs(actor access.Actor) string {
	if actor.User != "" {
		return string(actor.User)
	}
	return actor.ID()
}
