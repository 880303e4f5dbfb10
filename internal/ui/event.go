package ui

import (
	"fmt"
	"strings"
	"time"

	"mgx"
)

// EventLine is an event as one line for people: its place in the log, when it was,
// its stream and after # its sequence there, its type and what matters of it. It
// is safe to show and not cut.
func EventLine(e mgx.Event) string {
	line := fmt.Sprintf("%6d  %s  %-36s  %-27s", e.Position, e.Time.UTC().Format("2006-01-02 15:04:05Z"), fmt.Sprintf("%s#%d", e.Stream, e.Sequence), e.Type)
	return strings.TrimRight(clean(line+" "+describe(e)), " ")
}

// describe says what matters of an event, in one line.
func describe(e mgx.Event) string {
	if d, ok := describers[e.Type]; ok {
		return d(e)
	}
	return ""
}

var describers = map[mgx.EventType]func(mgx.Event) string{
	mgx.TaskCreated: described(func(d mgx.TaskCreatedData) string { return d.Task.Title }),
	mgx.TaskStarted: described(func(d mgx.TaskStartedData) string { return fmt.Sprint("attempt ", d.Attempt) }),
	mgx.TaskCompleted: described(func(d mgx.TaskCompletedData) string {
		return fmt.Sprintf("%s in %s for %s", d.Result.Kind, millis(d.DurationMS), d.CostUSD)
	}),
	mgx.TaskFailed:      described(func(d mgx.TaskErrorData) string { return d.Code + ": " + d.Message }),
	mgx.TaskCancelled:   described(func(d mgx.TaskCancelledData) string { return d.Reason + " (by " + d.By + ")" }),
	mgx.RunCreated:      described(func(d mgx.RunCreatedData) string { return d.Task.Title + " (" + d.Settings.Model + ")" }),
	mgx.RunPhaseChanged: described(func(d mgx.PhaseData) string { return join(d.Phase, d.Note) }),
	mgx.RunPlanUpdated: described(func(d mgx.PlanUpdatedData) string {
		done, _ := planState(d.Plan)
		return fmt.Sprintf("%d of %s done: %s", done, plural(len(d.Plan.Steps), "step"), d.Plan.Goal)
	}),
	mgx.RunCheckpointed: described(func(d mgx.CheckpointData) string { return "tree " + short(d.Tree) + " after " + d.Step }),
	mgx.RunChecksCompleted: described(func(d mgx.ChecksData) string {
		return fmt.Sprintf("%s: %s", d.Round, passedOf(d))
	}),
	mgx.RunReviewCompleted: described(func(d mgx.ReviewData) string {
		return fmt.Sprintf("round %d: %s, %s", d.Round, d.Verdict, plural(len(d.Findings), "finding"))
	}),
	mgx.RunAnswered: described(func(d mgx.AnsweredData) string { return firstLine(d.Answer) }),
	mgx.RunDelivered: described(func(d mgx.DeliveredData) string {
		return fmt.Sprintf("%s at %s, %s", d.Branch, short(d.Commit), changes(d))
	}),
	mgx.RunMessageSent: described(func(d mgx.MessageSentData) string { return d.By + ": " + firstLine(d.Text) }),
	mgx.RunPaused:      described(func(d mgx.PausedData) string { return "by " + d.By + because(d.Reason) }),
	mgx.RunContinued:   described(func(d mgx.ContinuedData) string { return "by " + d.By }),
	mgx.RunCommentMade: described(func(d mgx.CommentMadeData) string {
		return fmt.Sprintf("%s on %s:%d: %s", d.By, d.File, d.Line, firstLine(d.Text))
	}),
	mgx.RunCommentClosed: described(func(d mgx.CommentClosedData) string { return d.CommentID + " by " + d.By }),
	mgx.RunFileApproved: described(func(d mgx.FileApprovedData) string {
		if !d.Approved {
			return d.File + ", taken back by " + d.By
		}
		return d.File + " by " + d.By
	}),
	mgx.RunChangesRequested: described(func(d mgx.ChangesRequestedData) string {
		return fmt.Sprintf("by %s, with %s%s", d.By, plural(len(d.Comments), "comment"), because(d.Reason))
	}),
	mgx.RunNetworkUsed: described(networkUsed),
	mgx.RunNoted:       described(func(d mgx.NotedData) string { return d.Level + ": " + d.Text }),
	mgx.AgentMessage: described(func(d mgx.AgentMessageData) string {
		text := firstLine(d.Text)
		if len(d.ToolCalls) > 0 {
			text = join(text, "calls "+strings.Join(d.ToolCalls, ", "))
		}
		return d.AgentRole + " " + d.Role + ": " + text
	}),
	mgx.ToolCalled: described(func(d mgx.ToolCallData) string { return d.Name + " " + d.Summary }),
	mgx.ToolReturned: described(func(d mgx.ToolResultData) string {
		text := d.Name + " " + d.Status + " in " + millis(d.DurationMS)
		if d.ExitCode != nil {
			text += fmt.Sprint(", exit ", *d.ExitCode)
		}
		return text
	}),
	mgx.LLMCallCompleted: described(func(d mgx.LLMCallData) string {
		return fmt.Sprintf("%s/%s: %s in, %s out, %s, %s", d.Provider, d.Model,
			Tokens(d.Usage.Prompt), Tokens(d.Usage.Completion), d.CostUSD, millis(d.DurationMS))
	}),
	mgx.LLMProviderError: described(func(d mgx.ProviderErrorData) string {
		return fmt.Sprintf("%s/%s: %s: %s", d.Provider, d.Model, d.ErrorType, d.Message)
	}),
	mgx.WorkflowStarted:     described(func(d mgx.WorkflowStartedData) string { return d.Workflow + " (" + d.Trigger + ")" }),
	mgx.WorkflowStepStarted: described(func(d mgx.StepStartedData) string { return d.Step }),
	mgx.WorkflowStepCompleted: described(func(d mgx.StepCompletedData) string {
		return join(fmt.Sprintf("%s %s in %s", d.Step, d.Status, millis(d.DurationMS)), d.Error)
	}),
	mgx.WorkflowWaiting: described(func(d mgx.WaitingData) string {
		if d.Until != nil {
			return "for " + d.For + " until " + stamp(*d.Until)
		}
		return "for " + d.For
	}),
	mgx.WorkflowResumed:   described(func(d mgx.ResumedData) string { return d.Reason }),
	mgx.WorkflowCompleted: described(func(d mgx.WorkflowCompletedData) string { return fmt.Sprintf("%s after %d steps", d.Status, d.Steps) }),
	mgx.ApprovalRequested: described(func(d mgx.ApprovalRequestedData) string { return d.Effect }),
	mgx.ApprovalDecided: described(func(d mgx.ApprovalDecidedData) string {
		word := "rejected"
		switch {
		case d.Approved:
			word = "approved"
		case d.Changes:
			word = "changes requested"
		}
		return word + " by " + d.By + because(d.Reason)
	}),
}

func described[D any](say func(D) string) func(mgx.Event) string {
	return func(e mgx.Event) string {
		var d D
		if err := e.Decode(&d); err != nil {
			return "(does not decode)"
		}
		return say(d)
	}
}

func millis(ms int64) string { return Duration(time.Duration(ms) * time.Millisecond) }

// join puts ": " between two texts that both say something.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ": " + b
}

func passedOf(d mgx.ChecksData) string {
	passed, all := d.Count("passed"), len(d.Checks)
	if passed == all {
		return fmt.Sprintf("%d passed", passed)
	}
	said := []string{fmt.Sprintf("%d of %d passed", passed, all)}
	for _, status := range []string{"refused", "unavailable"} {
		if n := d.Count(status); n > 0 {
			said = append(said, fmt.Sprintf("%d %s", n, status))
		}
	}
	return strings.Join(said, ", ")
}
