package mgx

import (
	"reflect"
	"testing"
)

// story builds the events of a run's stream.
type story struct {
	t *testing.T
	s Security
	n int64
}

func (s *story) add(typ EventType, data any) int64 {
	s.t.Helper()
	s.n++
	e := NewEvent(typ, data)
	e.Stream, e.Sequence = "run_1", s.n
	if err := s.s.Apply(e); err != nil {
		s.t.Fatal(err)
	}
	return s.n
}

var (
	fromFiles = Label{Untrusted: true, Secrecy: Private, Sources: []string{SourceRepository}}
	fromTask  = Label{Sources: []string{SourceUser}}
)

func (s *story) call(id, conversation, name, effect, verdict, status string) int64 {
	at := s.add(ToolCalled, ToolCallData{CallID: id, Name: name, Effect: effect, Summary: id, Conversation: conversation, Verdict: verdict, Why: "because", Rule: "r"})
	s.add(ToolReturned, ToolResultData{CallID: id, Name: name, Status: status, Label: &fromFiles})
	return at
}

// TestSecurityFollowsInfluence has an injection that the planner reads reach the
// author by the plan and the reviewer by the diff; what each did before is not
// laid at its door, nor what nobody told of it did.
func TestSecurityFollowsInfluence(t *testing.T) {
	s := &story{t: t}
	s.add(AgentBriefed, AgentBriefedData{Conversation: "planner", Items: []ContextItem{{What: "task", Label: fromTask}, {What: "AGENTS.md", Label: fromFiles}}})
	early := s.call("c1", "planner", "shell", "execute", "allow", "success")
	s.call("c2", "planner", "read", "read", "allow", "success") // the injection
	late := s.call("c3", "planner", "shell", "execute", "allow", "success")
	other := s.call("c4", "answerer", "shell", "execute", "allow", "success")
	s.add(AgentBriefed, AgentBriefedData{Conversation: "implementer", Items: []ContextItem{{What: "plan", Label: fromFiles}}})
	author := s.call("c5", "implementer", "write", "write", "allow", "success")
	s.add(AgentBriefed, AgentBriefedData{Conversation: "reviewer-1", Items: []ContextItem{{What: "diff", Label: fromFiles}}})
	review := s.call("c6", "reviewer-1", "shell", "execute", "deny", "denied")

	var injection, rules *ReadItem
	for i := range s.s.Read {
		switch s.s.Read[i].Item {
		case "read c2":
			injection = &s.s.Read[i]
		case "AGENTS.md":
			rules = &s.s.Read[i]
		case "task":
			t.Error("the task counts as untrusted")
		}
	}
	if injection == nil || !reflect.DeepEqual(injection.Influenced, []int64{late, author, review}) {
		t.Errorf("the injection: %+v, want calls %d, %d, %d", injection, late, author, review)
	}
	if rules == nil || !reflect.DeepEqual(rules.Influenced, []int64{early, late, author, review}) {
		t.Errorf("the rules: %+v (and not %d)", rules, other)
	}
	last := s.s.Calls[len(s.s.Calls)-1]
	if last.Status != "denied" || last.Verdict != "deny" || last.Why == "" {
		t.Errorf("the refused call: %+v", last)
	}
	for _, r := range s.s.Read {
		if r.Item == "shell c6" {
			t.Error("a refused call counts as read")
		}
	}
}

func TestSecuritySaysWhoDecidedAndWhatIsSuspicious(t *testing.T) {
	s := &story{t: t}
	s.add(SuspiciousActivity, SuspicionData{What: "prompt_injection", Target: "AGENTS.md", Detail: "rules"})
	s.add(AgentBriefed, AgentBriefedData{Conversation: "implementer", Items: []ContextItem{{What: "AGENTS.md", Label: fromFiles}}})
	s.add(ToolCalled, ToolCallData{CallID: "x", Name: "mcp", Effect: "network", Conversation: "implementer", Verdict: "ask"})
	s.add(ApprovalRequested, ApprovalRequestedData{ApprovalID: "decision/1", Call: &ProposedCall{Tool: "mcp"}})
	s.add(ApprovalDecided, ApprovalDecidedData{ApprovalID: "decision/1", Approved: true, By: "user_1", Reason: "fine"})
	s.add(ToolReturned, ToolResultData{CallID: "x", Name: "mcp", Status: "timeout"})
	s.add(SuspiciousActivity, SuspicionData{What: "prompt_injection", Target: "x", Detail: "result"})
	s.add(RunNetworkUsed, NetworkUsedData{CallID: "x", Hosts: []NetworkUse{{Host: "a", Port: 443, Decision: "allowed", Times: 1, Sent: 5}, {Host: "b", Decision: "refused", Times: 1}}})
	s.add(RunNetworkUsed, NetworkUsedData{CallID: "x", Hosts: []NetworkUse{{Host: "a", Port: 443, Decision: "allowed", Times: 2, Sent: 5}}})
	s.add(RunDelivered, DeliveredData{Files: 5, Stat: []string{"main.go | +1 -0", ".github/workflows/ci.yml | +1 -0", "sub/.mcp.json | +1 -0", "web/package.json | +1 -0"}})
	s.add(TaskFailed, TaskErrorData{Code: "turn_limit", Kind: KindGoal, Message: "turns"})

	got := s.s
	if r := got.Read; len(r) != 2 || r[0].Suspicions[0] != "rules" || r[1].Suspicions[0] != "result" || !r[1].Label.Untrusted {
		t.Errorf("read: %+v", r)
	}
	if c := got.Calls; len(c) != 1 || !c[0].Asked || !c[0].Approved || c[0].By != "user_1" || c[0].Status != "timeout" {
		t.Errorf("calls: %+v", c)
	}
	if len(got.Alarms) != 2 || len(got.Limits) != 2 {
		t.Errorf("alarms %+v, limits %+v", got.Alarms, got.Limits)
	}
	if h := got.Hosts; len(h) != 2 || h[0].Times != 3 || h[0].Sent != 10 {
		t.Errorf("hosts: %+v", h)
	}
	if f := got.Foreign; len(f) != 4 || f[2] != "web/package.json" || f[0] != ".github/workflows/ci.yml" || f[1] != "sub/.mcp.json" {
		t.Errorf("foreign: %q", f)
	}
}

// TestSecurityListsLimits names each limit that something came to once, with what came
// to it.
func TestSecurityListsLimits(t *testing.T) {
	s := &story{t: t}
	s.add(ToolCalled, ToolCallData{CallID: "c1", Name: "shell", Summary: "make"})
	s.add(RunLimitReached, LimitReachedData{Limit: "open_files", Setting: "open-files=64", Told: true, CallID: "c1"})
	s.add(ToolReturned, ToolResultData{CallID: "c1", Name: "shell", Status: "error"})
	s.add(ToolCalled, ToolCallData{CallID: "c2", Name: "shell", Summary: "sleep 9"})
	s.add(RunLimitReached, LimitReachedData{Limit: "time", CallID: "c2"})
	s.add(ToolReturned, ToolResultData{CallID: "c2", Name: "shell", Status: "timeout"})
	s.add(RunLimitReached, LimitReachedData{Limit: "time", Check: "test"})
	s.add(TaskFailed, TaskErrorData{Code: "turn_limit", Message: "no more turns"})
	want := []LimitReached{
		{2, "open files (open-files=64), as its output says, of shell make"},
		{6, "the time of shell sleep 9"},
		{7, "time of the check test"},
		{8, "no more turns"},
	}
	if !reflect.DeepEqual(s.s.Limits, want) {
		t.Errorf("%+v", s.s.Limits)
	}
}

// TestSecurityKnowsWhichCallWasAskedAbout has two calls of a tool wait at once, as this
// version tells of them and as earlier ones did.
func TestSecurityKnowsWhichCallWasAskedAbout(t *testing.T) {
	for name, id := range map[string]func(string) string{"now": func(id string) string { return id }, "earlier": func(string) string { return "" }} {
		s := &story{t: t}
		s.call("refused at once", "implementer", "read", "read", "ask", "denied")
		for _, call := range []string{"harmless", "salaries"} {
			s.add(ToolCalled, ToolCallData{CallID: call, Name: "read", Effect: "read", Summary: call, Verdict: "ask"})
		}
		asked := []string{"harmless", "salaries"}
		if name == "now" {
			asked = []string{"salaries", "harmless"}
		}
		for _, call := range asked {
			s.add(ApprovalRequested, ApprovalRequestedData{ApprovalID: "decision/" + call, Call: &ProposedCall{Tool: "read", CallID: id(call)}})
		}
		s.add(ApprovalDecided, ApprovalDecidedData{ApprovalID: "decision/harmless", Approved: true, By: "alice"})
		s.add(ApprovalDecided, ApprovalDecidedData{ApprovalID: "decision/salaries", By: "bob", Reason: "no"})
		if c := s.s.Calls; len(c) != 3 || c[0].Asked || !c[1].Approved || c[1].By != "alice" || c[2].Approved || c[2].By != "bob" {
			t.Errorf("%s: %+v", name, c)
		}
	}
}
