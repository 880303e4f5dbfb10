// Package team is the built-in software team: the workflow that turns a task in
// words into a tested, reviewed commit, and the roles that work in it.
//
// The workflow is prepare, triage, plan and approval where size or settings ask
// for them, implement, check and heal, review and revise, deliver. Every model
// turn, tool call and check is a step of package workflow; after each one that
// can change files the step's record names the git tree of the run's files, so
// that a process which takes over puts the files back as they were and goes on.
//
// A goal is reached only when the repository's checks pass and an independent
// reviewer holds nothing blocking against the change, or when a question is
// answered. Anything else ends the run with an error that says what is missing;
// a change that exists by then is still delivered, so no work is lost.
package team

import (
	"context"
	"log/slog"
	"time"

	"mgx"
	"mgx/internal/git"
	"mgx/internal/guard"
	"mgx/internal/llm"
	"mgx/internal/sandbox"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// WorkflowName is the registered name of the team's workflow.
const WorkflowName = "team"

// Model makes model calls; *llm.Router is one.
type Model interface {
	Call(ctx context.Context, req *llm.Request, acct llm.Account, watch func(llm.Chunk)) (*llm.Result, error)
}

// Site is where a run's files are.
type Site struct {
	Source *git.Source
	Clone  *git.Clone
	Box    sandbox.Box
	Files  tool.Workspace // ReadOnly is set by each use

	Outside Outside // servers of tools; nil: the run was given none

	// Gate makes a gate to hosts for one command, and says what programs have to see
	// for it.
	Gate func(hosts []string) (sandbox.Gate, []sandbox.Mount, error)
}

// Deps is what the workflow needs from the outside.
type Deps struct {
	Model Model
	// Limits are those of a model as a run calls it.
	Limits func(run mgx.RunID, model string) Limits
	Log    *slog.Logger
	// Open opens the site of a run, making its directories if they are not there.
	Open func(ctx context.Context, of mgx.Scope, repo mgx.RepoInfo, settings mgx.RunSettings) (*Site, error)
	Run  func(ctx context.Context, ws mgx.WorkspaceID, id mgx.RunID) (mgx.Run, error)
	// Redact hides the secrets of a workspace in what agents of its runs are given, and
	// in what watchers see. What is stored the store redacts once more. Nil: none.
	Redact func(mgx.WorkspaceID) *guard.Redactor
	// Deltas, if set, receives what models and programs say as they say it. It
	// must not block.
	Deltas func(run mgx.RunID, d Delta)
}

// Limits are what a model can take and give, in tokens.
type Limits struct {
	Window int `json:"window"` // prompt and answer together
	Output int `json:"output"` // of one answer
}

// Delta is something for watchers only: it is never stored.
type Delta struct {
	Workspace mgx.WorkspaceID
	Task      mgx.TaskID
	Agent     string
	Text      string // of the model
	Again     bool   // the model starts over: what it said in this turn is void
	Failed    string // why a call of the model failed that is tried again
	Tool      string // output of a program
}

// Input starts the workflow. It names no run, so that a fork can start from the
// same journal.
type Input struct {
	Task     mgx.TaskInfo    `json:"task"`
	Repo     mgx.RepoInfo    `json:"repo"`
	Settings mgx.RunSettings `json:"settings"`
}

// redactor hides what is secret in a workspace.
func (d Deps) redactor(of mgx.WorkspaceID) *guard.Redactor {
	if d.Redact == nil {
		return nil
	}
	return d.Redact(of)
}

// Register adds the team workflow to an engine.
func Register(e *workflow.Engine, deps Deps) {
	workflow.Register(e, WorkflowName, func(c *workflow.Context, in Input) (mgx.TaskResult, error) {
		r := &run{c: c, deps: deps, in: in, hides: deps.redactor(c.Scope().Workspace)}
		c.BeforeLive(r.open)
		defer r.close()
		return r.work()
	}, workflow.OnEnd(deps.ended))
}

// Limits of the workflow that no setting changes.
const (
	maxHeals     = 3
	maxRevisions = 2
	maxOutput    = 8192 // tokens of one answer, where the model gives that many
	checkTimeout = 10 * time.Minute
)
