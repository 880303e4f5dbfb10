package web

import (
	"strings"
	"time"

	"mgx"
)

// sampleBook is the page of all components, with sample data for every state.
type sampleBook struct {
	Statuses []string
	Run      *runPage
	Runs     []mgx.RunInfo
	Lines    []int
	Error    failure
	Prose    string
	ANSI     string
	Diff     change
	When     time.Time
	Long     string
	Many     output
	Graph    *graph
	Notes    []note
	Around   sampleAround
	Settings sampleSettings
}

// storybook shows how each component looks when it is empty, loads, fails, is long
// or many.
func storybook(v *visit) (page, error) {
	now := v.site.o.Now()
	d := sampleBook{
		Statuses: []string{"queued", "running", "waiting", "done", "failed", "cancelled", "refused"},
		Run:      sampleRun(now), Lines: []int{1, 2, 3}, When: now.Add(-11 * time.Minute),
		Error: failure{Title: v.site.t("error.conflict"), Text: "What the run proposes now is not what was decided on. Look at it again.", Code: "other_hash", Back: "/storybook"},
		Prose: sampleProse, ANSI: sampleANSI, Diff: readDiff(samplePatch), Long: strings.Repeat("a-name-without-an-end/", 20), Many: fold(strings.Repeat("ok  \texample.com/greeter\t0.005s\n", 400)),
	}
	for _, status := range d.Statuses {
		run := d.Run.Run
		run.ID, run.Status = mgx.RunID("run_01J000000000000000000"+strings.ToUpper(status)), mgx.RunStatus(status)
		d.Runs = append(d.Runs, run)
	}
	d.Runs[3].Task.Title = strings.Repeat("A title that goes on and on. ", 8)
	d.Graph, d.Notes = sampleGraph(), sampleNotes(now)
	d.Around, d.Settings = v.site.sampleAround(now), v.site.sampleSettings(now)
	return page{Template: "storybook", Title: v.site.t("book.title"), Command: "mgx help", Data: d, Notice: &notice{Tone: "warn", Text: v.site.t("book.notice"), Link: "/storybook#notices", Do: v.site.t("open")}}, nil
}

const sampleProse = "The limiter is **off by one**: `Allow` counts the request *after* it compares.\n\n- `limiter.go` compares with `<=`\n- the test wants 3 of 5\n\n> Other methods get 405.\n\n```go\n// Allow reports whether one more request is within the limit.\nfunc (l *Limiter) Allow(client string) bool {\n\treturn l.count(client) < 3\n}\n```\n\n1. Fix the comparison\n2. Add `/healthz`\n\nSee [the request](https://example.com/issue) and ![a picture](https://example.com/x.png) <b>that stay text</b>."

const sampleANSI = "\x1b[1m=== RUN   TestLimiterAllow\x1b[0m\n\x1b[31m--- FAIL: TestLimiterAllow (0.00s)\x1b[0m\n    limiter_test.go:31: \x1b[33m4 of 5 requests allowed, want 3\x1b[0m\n\x1b[32mok\x1b[0m  \texample.com/greeter\t0.005s"

const samplePatch = `diff --git a/limiter.go b/limiter.go
index 3b18e51..a04fe2a 100644
--- a/limiter.go
+++ b/limiter.go
@@ -12,9 +12,10 @@ type Limiter struct {
 // Allow reports whether one more request of a client is within the limit.
 func (l *Limiter) Allow(client string) bool {
 	l.mu.Lock()
 	defer l.mu.Unlock()
-	l.seen[client]++
-	return l.seen[client] <= l.limit+1
+	n := l.seen[client] + 1
+	l.seen[client] = n
+	return n <= l.limit
 }
 
 /* Reset forgets
diff --git a/old name.txt b/new name.txt
similarity index 100%
rename from old name.txt
rename to new name.txt
diff --git a/logo.png b/logo.png
new file mode 100644
Binary files /dev/null and b/logo.png differ
`

// sampleRun is a run that waits for a decision.
func sampleRun(now time.Time) *runPage {
	scope := mgx.Scope{Workspace: mgx.DefaultWorkspace, Run: "run_01J0000000000000000SAMPLE0", Task: "task_01J00000000000000SAMPLE0"}
	begun := now.Add(-194 * time.Second)
	budget := 2 * mgx.USD
	var events []mgx.Event
	add := func(typ mgx.EventType, payload any) {
		e := scope.Event(typ, payload)
		e.Sequence, e.Time = int64(len(events)+1), begun.Add(time.Duration(len(events))*7*time.Second)
		events = append(events, e)
	}
	plan := mgx.Plan{
		Goal: "GET /healthz answers 200 and is never rate limited, and TestLimiterAllow passes.",
		Steps: []mgx.PlanStep{
			{Text: "Fix the comparison in Allow", Status: "done"}, {Text: "Register GET /healthz before the limiter", Status: "doing"}, {Text: "Test the status, the body and other methods", Status: "todo"},
		},
		Files: []string{"limiter.go", "server.go", "healthz_test.go"}, Risks: []string{"Probes must not count against clients"}, Verify: []string{"go test ./..."},
	}
	usage := mgx.Usage{Prompt: 18_420, Completion: 640}
	exit := 1
	add(mgx.RunCreated, mgx.RunCreatedData{
		Task: mgx.TaskInfo{ID: scope.Task, Title: "Add a /healthz endpoint with a test, and fix the failing test"},
		Repo: mgx.RepoInfo{Path: "/home/ada/src/greeter", Branch: "main"}, Settings: mgx.RunSettings{Model: "anthropic/claude-sonnet", Approve: "ask", Budget: &budget, Sandbox: "auto"},
	})
	add(mgx.TaskStarted, mgx.TaskStartedData{Attempt: 1})
	add(mgx.RunPhaseChanged, mgx.PhaseData{Phase: mgx.PhasePlan, Note: "size M"})
	add(mgx.LLMCallCompleted, mgx.LLMCallData{Provider: "anthropic", Model: "claude-sonnet", AgentRole: "planner", Usage: usage, CostUSD: mgx.USD * 3 / 10, PriceKnown: true, DurationMS: 4_210})
	add(mgx.AgentMessage, mgx.AgentMessageData{Role: "assistant", AgentRole: "planner", Text: sampleProse, Tokens: &usage})
	add(mgx.ToolCalled, mgx.ToolCallData{CallID: "c1", Name: "shell", Effect: "execute", Arguments: `{"command":"go test ./...","timeout":60}`, Summary: "go test ./...", AgentRole: "planner", Verdict: "allow", Why: "a rule allows go test"})
	add(mgx.ToolReturned, mgx.ToolResultData{CallID: "c1", Name: "shell", Status: "error", DurationMS: 1_730, Output: sampleANSI, ExitCode: &exit})
	add(mgx.ToolCalled, mgx.ToolCallData{CallID: "c2", Name: "fetch", Effect: "network", Arguments: `{"url":"https://example.org"}`, Summary: "https://example.org", AgentRole: "planner", Verdict: "deny", Why: "no rule allows a network"})
	add(mgx.ToolReturned, mgx.ToolResultData{CallID: "c2", Name: "fetch", Status: "denied", DurationMS: 1})
	add(mgx.ToolCalled, mgx.ToolCallData{CallID: "c3", Name: "read", Effect: "read", Arguments: `{"path":"limiter.go"}`, Summary: "limiter.go", AgentRole: "planner"})
	add(mgx.RunPlanUpdated, mgx.PlanUpdatedData{Plan: plan, Hash: "sha256:plan"})
	add(mgx.RunChecksCompleted, mgx.ChecksData{Round: "baseline", Checks: []mgx.CheckResult{
		{Name: "go vet ./...", Command: "go vet ./...", Status: "passed", DurationMS: 200}, {Name: "go test ./...", Command: "go test ./...", Status: "failed", ExitCode: 1, DurationMS: 618, Output: sampleANSI},
	}})
	add(mgx.RunReviewCompleted, mgx.ReviewData{Round: 1, Verdict: "revise", Summary: "The fix is right. One requirement is missed.", Findings: []mgx.Finding{
		{Title: "POST /healthz answers 200, the request asks for 405", Body: "The pattern has no method.", Priority: "P1", File: "server.go", Line: 28}, {Title: "The test checks the status only", Body: "The body is asked for, too.", Priority: "P3", File: "healthz_test.go", Line: 12},
	}})
	add(mgx.RunNoted, mgx.NotedData{Level: "warning", Text: "The checkout had uncommitted changes; the run does not see them."})
	add(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/plan", Effect: "Carry out the plan: 3 steps in 3 files.", Hash: "sha256:plan"})
	add(mgx.ApprovalRequested, mgx.ApprovalRequestedData{ApprovalID: "decision/tool-1", Effect: "Run a program that the policy asks about.", Hash: "sha256:3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b", Call: &mgx.ProposedCall{
		Tool: "shell", Effect: "execute", AgentRole: "implementer", Arguments: `{"command":"go mod tidy"}`, Paths: []string{"/work/go.mod", "/work/go.sum"}, Hosts: []string{"proxy.golang.org:443"},
		Rule: "ask command go mod *", Why: "it changes what the project depends on", Rest: "go mod tidy, any number of times", Label: &mgx.Label{Untrusted: true, Sources: []string{"repository", "web:example.org"}},
	}})
	add(mgx.WorkflowWaiting, mgx.WaitingData{For: "decision/plan"})

	d := &runPage{Tab: "timeline", May: mayDo{true, true, true, true, true}}
	for _, e := range events {
		folded, err := d.Run.Run.Apply(e)
		if err != nil {
			panic(err) // the events are above
		}
		d.Run.Run = folded
	}
	d.Last = d.Run.Sequence
	d.Asks, d.Tabs = asksOf(d.Run), tabsOf(d.Run, "timeline", 0)
	d.Timeline = &window{Phases: timeline(events), First: 1, Last: d.Last, Tail: true}
	return d
}

func sampleText() map[string]string {
	return map[string]string{
		"book.title": "Storybook", "book.lead": "Every component, in every state that it can have.", "book.notice": "A line above the page says what the page is about to need.",
		"book.status": "Status", "book.buttons": "Buttons and fields", "book.small": "Times, ids, names", "book.prose": "Words of a model", "book.ansi": "Output of a program",
		"book.empty": "Empty", "book.loading": "Loading", "book.error": "An error", "book.long": "Long", "book.many": "Many lines", "book.list": "A list", "book.run": "A run that waits", "book.diff": "A difference", "book.notes": "Comments", "book.graph": "An execution as a graph", "book.bars": "Budgets",
		"book.primary": "Primary", "book.plain": "Plain", "book.danger": "Danger", "book.field": "A field", "book.hint": "What it is for",
	}
}
