package mgx

import (
	"encoding/json"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestIDsSortByTimeAndAreTraces(t *testing.T) {
	shape := regexp.MustCompile(`^run_[0-7][0-9A-HJKMNP-TV-Z]{25}$`)
	seen := map[RunID]bool{}
	for range 1000 {
		id := NewRunID()
		if !shape.MatchString(string(id)) || seen[id] {
			t.Fatalf("bad or repeated id %s", id)
		}
		seen[id] = true
		if tp := id.Traceparent(); !regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`).MatchString(tp) {
			t.Fatalf("traceparent %q", tp)
		}
	}
	early := NewRunID()
	for start := time.Now().UnixMilli(); time.Now().UnixMilli() == start; {
	}
	if late := NewRunID(); late <= early {
		t.Errorf("%s sorts before %s", late, early)
	}
	// The ULID of the specification's example, in both notations.
	if got := RunID("run_01ARZ3NDEKTSV4RRFFQ69G5FAV").Traceparent(); got != "00-01563e3ab5d3d6764c61efb99302bd5b-4c61efb99302bd5b-01" {
		t.Errorf("traceparent %s", got)
	}
	if got := RunID("run_x").Traceparent(); got != "" {
		t.Errorf("traceparent of a strange id: %q", got)
	}
}

func TestMoney(t *testing.T) {
	for in, want := range map[string]string{"2": "$2.00", "0.5": "$0.50", "$1.25": "$1.25", "0.0042": "$0.0042", "0": "$0.00", "0.0001": "$0.0001", "0.00007": "$0.000070", "0.0000499": "$0.000050", "0.000001234": "$0.0000012", "0.000000001": "$0.000000001"} {
		m, err := ParseMoney(in)
		if err != nil || m.String() != want {
			t.Errorf("%q: %s, %v; want %s", in, m, err, want)
		}
	}
	for _, in := range []string{"", "-1", "NaN", "1e12", "two", "1,5"} {
		if m, err := ParseMoney(in); err == nil {
			t.Errorf("%q is taken for %s", in, m)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		if m := Money(rapid.Int64Range(-1e15, 1e15).Draw(t, "amount")); m != 0 && strings.Trim(m.String(), "-$0.") == "" {
			t.Fatalf("%d is shown as %s", m, m)
		}
		m := Money(rapid.Int64Range(0, 1e15).Draw(t, "nano"))
		data, err := json.Marshal(m)
		var back Money
		if err != nil || json.Unmarshal(data, &back) != nil || back != m {
			t.Fatalf("%d became %s became %d", m, data, back)
		}
	})
}

func TestErrors(t *testing.T) {
	cause := errors.New("the cause")
	err := Errorf(KindBudget, CodeBudgetExceeded, "no money: %w", cause)
	if !errors.Is(err, cause) || !IsCode(err, CodeBudgetExceeded) || AsError(err) != err || err.Kind.ExitCode() != 5 {
		t.Errorf("%#v", err)
	}
	if got := AsError(cause); got.Kind != KindInternal || got.Kind.ExitCode() != 70 {
		t.Errorf("%#v", got)
	}
	if AsError(nil) != nil || Kind("").ExitCode() != 0 {
		t.Error("no error is an error")
	}
}

func approval(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "approval")
}

// stream draws a run's history with every type of event that a run folds, in any
// order.
func stream(t *rapid.T) []Event {
	scope := Scope{Workspace: DefaultWorkspace, Task: "task_x", Run: "run_x", Execution: "exec_x"}
	make := map[EventType]func() any{
		TaskStarted:        func() any { return TaskStartedData{Attempt: 1} },
		WorkflowWaiting:    func() any { return WaitingData{For: rapid.String().Draw(t, "for")} },
		WorkflowResumed:    func() any { return ResumedData{Reason: "signal"} },
		RunPhaseChanged:    func() any { return PhaseData{Phase: rapid.String().Draw(t, "phase")} },
		RunPlanUpdated:     func() any { return PlanUpdatedData{Plan: Plan{Goal: rapid.String().Draw(t, "goal")}} },
		RunCheckpointed:    func() any { return CheckpointData{Tree: rapid.String().Draw(t, "tree")} },
		RunChecksCompleted: func() any { return ChecksData{Round: "1", Passed: rapid.Bool().Draw(t, "passed")} },
		RunReviewCompleted: func() any { return ReviewData{Round: 1, Verdict: "approve"} },
		RunAnswered:        func() any { return AnsweredData{Answer: rapid.String().Draw(t, "answer")} },
		RunDelivered:       func() any { return DeliveredData{Branch: "b", Commit: "c"} },
		ToolCalled:         func() any { return ToolCallData{Name: "read"} },
		ToolReturned: func() any {
			return ToolResultData{Status: rapid.SampledFrom([]string{"success", "denied"}).Draw(t, "status")}
		},
		LLMCallCompleted:      func() any { return LLMCallData{Usage: Usage{Prompt: 3}, CostUSD: 7, PriceKnown: true} },
		LLMProviderError:      func() any { return ProviderErrorData{Provider: "p", CostUSD: 5} },
		WorkflowStepCompleted: func() any { return StepCompletedData{Step: "s"} },
		ApprovalRequested: func() any {
			return ApprovalRequestedData{ApprovalID: approval(t), Hash: "h", Call: &ProposedCall{Tool: "x"}}
		},
		ApprovalDecided:    func() any { return ApprovalDecidedData{ApprovalID: approval(t), Approved: rapid.Bool().Draw(t, "yes")} },
		TaskCompleted:      func() any { return TaskCompletedData{} },
		TaskCancelled:      func() any { return TaskCancelledData{Reason: "r"} },
		TaskFailed:         func() any { return TaskErrorData{Kind: KindRefused, Code: "c"} },
		"some.future.type": func() any { return map[string]int{"x": 1} },
	}
	var types []EventType
	for typ := range make {
		types = append(types, typ)
	}
	slices.Sort(types)
	events := []Event{scope.Event(RunCreated, RunCreatedData{Task: TaskInfo{ID: "task_x", Title: "t"}})}
	for range rapid.IntRange(0, 30).Draw(t, "n") {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		events = append(events, scope.Event(typ, make[typ]()))
	}
	for i := range events {
		events[i].Sequence = int64(i + 1)
	}
	return events
}

func TestFoldIsPureAndIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := stream(t)
		fold := func(r Run, events []Event) Run {
			for _, e := range events {
				next, err := r.Apply(e)
				if err != nil {
					t.Fatal(err)
				}
				r = next
			}
			return r
		}
		cut := rapid.IntRange(0, len(events)).Draw(t, "cut")
		half := fold(Run{}, events[:cut])
		stored, err := json.Marshal(half)
		if err != nil {
			t.Fatal(err)
		}
		whole := fold(Run{}, events)
		if after, _ := json.Marshal(half); string(after) != string(stored) {
			t.Fatal("folding on changed the value folded from")
		}
		var back Run
		if err := json.Unmarshal(stored, &back); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(whole)
		b, _ := json.Marshal(fold(back, events[cut:]))
		if string(a) != string(b) {
			t.Fatalf("folding a stored row on gives another run:\n%s\n%s", a, b)
		}
		if whole.Sequence != int64(len(events)) {
			t.Fatalf("sequence %d of %d", whole.Sequence, len(events))
		}
	})
}

func TestFoldRefusesGaps(t *testing.T) {
	e := Scope{Run: "run_x"}.Event(RunCreated, RunCreatedData{})
	for _, seq := range []int64{0, 2, -1} {
		e.Sequence = seq
		if r, err := (Run{}).Apply(e); err == nil || !reflect.DeepEqual(r, Run{}) {
			t.Errorf("sequence %d: %v", seq, err)
		}
	}
}

func TestRunErrDecidesTheExit(t *testing.T) {
	for _, c := range []struct {
		run  Run
		exit int
	}{
		{Run{Status: RunDone}, 0},
		{Run{Status: RunWaiting, Waiting: "x"}, 6},
		{Run{Status: RunFailed, Failure: &TaskErrorData{Kind: KindGoal}}, 1},
		{Run{Status: RunFailed, Failure: &TaskErrorData{Kind: KindProvider}}, 4},
		{Run{Status: RunRefused, Failure: &TaskErrorData{Kind: KindRefused}}, 6},
		{Run{Status: RunCancelled, Reason: "enough"}, 7},
		{Run{Status: RunRunning}, 70},
	} {
		exit := 0
		if err := c.run.Err(); err != nil {
			exit = err.Kind.ExitCode()
		}
		if exit != c.exit {
			t.Errorf("%s: exit %d, want %d", c.run.Status, exit, c.exit)
		}
	}
}
