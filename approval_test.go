package mgx

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPendingAreThoseAskedForAndNotDecided compares the fold with a list.
func TestPendingAreThoseAskedForAndNotDecided(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scope := Scope{Run: "run_x"}
		var run Run
		apply := func(typ EventType, data any) {
			e := scope.Event(typ, data)
			e.Sequence = run.Sequence + 1
			next, err := run.Apply(e)
			if err != nil {
				t.Fatal(err)
			}
			run = next
		}
		apply(RunCreated, RunCreatedData{})
		var want []string
		last := ""
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			last = approval(t)
			if slices.Contains(want, last) {
				want = slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == last })
				apply(ApprovalDecided, ApprovalDecidedData{ApprovalID: last, Approved: true, Hash: "of " + last, Rest: true})
			} else {
				want = append(want, last)
				apply(ApprovalRequested, ApprovalRequestedData{ApprovalID: last, Effect: "do " + last})
			}
		}
		var got []string
		for _, a := range run.Pending() {
			if got = append(got, a.ID); a.Decided || a.Effect != "do "+a.ID {
				t.Fatalf("pending: %+v", a)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("pending %q, want %q", got, want)
		}
		switch {
		case last == "":
		case len(want) > 0 && run.Approval.ID != want[0]:
			t.Fatalf("the approval is %s, and %s has waited longest", run.Approval.ID, want[0])
		case len(want) == 0 && (run.Approval.ID != last || !run.Approval.Rest || run.Approval.Effect != "do "+last):
			t.Fatalf("the approval is %+v, and %s was decided last", run.Approval, last)
		}
		apply(TaskCancelled, TaskCancelledData{})
		if len(run.Pending()) > 0 {
			t.Fatal("a run that has ended waits")
		}
	})
}
