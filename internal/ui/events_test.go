package ui

import (
	"time"

	"mgx"
)

var testScope = mgx.Scope{Workspace: "ws_default", Task: "task_1", Run: "run_01JTESTTESTTESTTESTTESTTE"}

// numbered gives events of one run their places.
func numbered(events ...mgx.Event) []mgx.Event {
	for i := range events {
		events[i].Sequence, events[i].Position = int64(i+1), int64(i+1)
		events[i].Time = time.Date(2025, 3, 14, 9, 0, i, 0, time.UTC)
	}
	return events
}

func event(typ mgx.EventType, payload any) mgx.Event { return testScope.Event(typ, payload) }

// wholeRun is a run as the team workflow tells it.
func wholeRun() []mgx.Event {
	plan := mgx.Plan{
		Goal:   "GET /healthz answers 200",
		Steps:  []mgx.PlanStep{{Text: "Fix the limiter", Status: "todo"}, {Text: "Add the handler", Status: "todo"}},
		Files:  []string{"server.go", "limiter.go"},
		Risks:  []string{"the limiter wraps every route"},
		Verify: []string{"go test ./..."},
	}
	moved := plan
	moved.Steps = []mgx.PlanStep{{Text: "Fix the limiter", Status: "done"}, {Text: "Add the handler", Status: "doing"}}
	return numbered(
		event(mgx.RunCreated, mgx.RunCreatedData{
			Task:     mgx.TaskInfo{ID: "task_1", Title: "add a /healthz endpoint", Description: "add a /healthz endpoint with a test\n\nand more"},
			Repo:     mgx.RepoInfo{Path: "/home/ada/greeter", Head: "0123456789abcdef", Branch: "main", Dirty: true},
			Settings: mgx.RunSettings{Model: "openai/gpt-5", Approve: "auto", Budget: new(2 * mgx.USD), MaxTurns: 60, Timeout: time.Hour, Sandbox: "auto"},
		}),
		event(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhasePrepare}),
		event(mgx.RunChecksCompleted, mgx.ChecksData{Round: "baseline", Checks: []mgx.CheckResult{
			{Name: "vet", Command: "go vet ./...", Status: "passed", DurationMS: 900},
			{Name: "test", Command: "go test ./...", Status: "failed", ExitCode: 1, DurationMS: 3100, Output: "one\ntwo\nthree\nfour\nFAIL"},
		}}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhasePlan, Note: "size M"}),
		event(mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "openai", Model: "gpt-5", Usage: mgx.Usage{Prompt: 12000, Completion: 345, Cached: 4000}, CostUSD: mgx.USD / 4, PriceKnown: true, DurationMS: 2300}),
		event(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: "\nTwo causes, four files.\nMore of it."}),
		event(mgx.AgentMessage, mgx.AgentMessageData{Role: "user", AgentRole: "planner", Text: "the prompt"}),
		event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "h1"}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseApproval}),
		event(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "plan-1", Effect: "change 2 files as planned", Hash: "h1"}),
		event(mgx.ApprovalDecided, mgx.ApprovalDecidedData{ApprovalID: "plan-1", Approved: true, By: "policy", Reason: "--approve auto", Hash: "h1"}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseImplement}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "a", Name: "read", Summary: "server.go", SandboxLevel: "basic"}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "b", Name: "grep", Summary: "Limiter", SandboxLevel: "basic"}),
		event(mgx.ToolReturned, mgx.ToolResultData{CallID: "b", Name: "grep", Status: "success", DurationMS: 12, Output: "limiter.go:3"}),
		event(mgx.ToolReturned, mgx.ToolResultData{CallID: "a", Name: "read", Status: "success", DurationMS: 2, Output: "package main"}),
		event(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: moved, Hash: "h1"}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "c", Name: "shell", Summary: "go test ./...\necho done", SandboxLevel: "basic"}),
		event(mgx.ToolReturned, mgx.ToolResultData{CallID: "c", Name: "shell", Status: "error", DurationMS: 61000, Output: "l1\nl2\nl3\nl4\nl5\n", ExitCode: new(2)}),
		event(mgx.ToolCalled, mgx.ToolCallData{CallID: "d", Name: "write", Summary: "../evil", SandboxLevel: "basic"}),
		event(mgx.ToolReturned, mgx.ToolResultData{CallID: "d", Name: "write", Status: "denied", Output: "policy forbids it"}),
		event(mgx.LLMProviderError, mgx.ProviderErrorData{Provider: "openai", Model: "gpt-5", ErrorType: "rate_limit", Message: "slow down", RetryCount: 0, Retrying: true}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseReview}),
		event(mgx.RunReviewCompleted, mgx.ReviewData{Round: 1, Verdict: "revise", Summary: "one thing missed", Findings: []mgx.Finding{
			{Title: "POST answers 200", Body: "FEATURE.md asks for 405.", Priority: "P1", File: "server.go", Line: 28},
		}}),
		event(mgx.RunReviewCompleted, mgx.ReviewData{Round: 2, Verdict: "approve", Summary: "all good"}),
		event(mgx.RunChecksCompleted, mgx.ChecksData{Round: "2", Passed: true, Checks: []mgx.CheckResult{
			{Name: "go test ./...", Command: "go test ./...", Status: "passed", DurationMS: 3100},
		}}),
		event(mgx.RunNoted, mgx.NotedData{Level: "warning", Text: "the checkout had uncommitted changes, which are left out"}),
		event(mgx.RunNoted, mgx.NotedData{Level: "info", Text: "kept the cache"}),
		event(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhaseDeliver}),
		event(mgx.RunDelivered, mgx.DeliveredData{Branch: "mgx/add-healthz/run-1", Commit: "fedcba9876543210", Base: "0123456789abcdef", Commits: 2, Files: 4, Additions: 50, Deletions: 4, Stat: []string{"server.go | +10 -2"}}),
		event(mgx.TaskCompleted, mgx.TaskCompletedData{DurationMS: 72000, Result: mgx.TaskResult{Kind: "delivered"}}),
	)
}

func folded(events []mgx.Event) mgx.Run {
	var run mgx.Run
	for _, e := range events {
		var err error
		if run, err = run.Apply(e); err != nil {
			panic(err)
		}
	}
	return run
}
