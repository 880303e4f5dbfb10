package app

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"mgx"
	"mgx/internal/access"
	"mgx/internal/team"
)

// Codes of a delivery that cannot be approved as its change stands.
const (
	CodeOpenComments = "open_comments"
	CodeNotApproved  = "files_not_approved"
)

// CodeNothingRequested is of changes that nothing says what they should be.
const CodeNothingRequested = "nothing_requested"

// maxRemarkText bounds what is sent to the agents at once, in bytes.
const maxRemarkText = 64 << 10

// deliverable refuses to have a change delivered that somebody holds something
// against: a comment that is open, or, once files are approved one by one, a file
// that is not approved as it is.
func (w *Work) deliverable(ctx context.Context, run mgx.Run) error {
	if run.Remarks == 0 {
		return nil
	}
	r, err := w.review(ctx, run)
	if err != nil {
		return err
	}
	if n := r.Open(); n > 0 {
		return mgx.Errorf(mgx.KindUsage, CodeOpenComments, "%s on this change open: request changes to send them to the agents, or close them, and then approve", some(n, "comment is", "comments are"))
	}
	if missing := len(r.Files) - r.Approved(); r.ByFile && missing > 0 {
		return mgx.Errorf(mgx.KindUsage, CodeNotApproved, "%s not approved as %s: somebody approves this change file by file, so approve the rest too, request changes, or take the approvals of files back",
			some(missing, "file is", "files are"), map[bool]string{true: "it is", false: "they are"}[missing == 1])
	}
	return nil
}

func some(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Changes are what somebody wants to be different in a run's change.
type Changes struct {
	Reason string // in words; may be empty when there are open comments
	// Approval and Hash name the delivery that this answers. Without them it answers
	// the one that is asked about now, and where none is it is said to the run.
	Approval, Hash string
	Key            string // when it is said to the run: with the same key once
}

// RequestChanges sends the agents what somebody wants to be different, with all
// comments that are open. Where the delivery is asked about this is the answer: the
// change is made, checked and reviewed, and then asked about again.
func (w *Work) RequestChanges(ctx context.Context, actor access.Actor, id mgx.RunID, c Changes) error {
	run, err := w.run(ctx, actor, "approve", id)
	if err != nil {
		return err
	}
	if ask := delivery(run.Run); c.Approval != "" || ask != nil {
		return w.Decide(ctx, actor, id, Answer{Approval: cmp.Or(c.Approval, approvalOf(ask)), Hash: c.Hash, Reason: c.Reason, Changes: true})
	}
	if run, err = w.underWay(ctx, actor, id); err != nil {
		return err
	}
	if len(c.Key) > maxKey {
		return mgx.Errorf(mgx.KindUsage, "bad_query", "an Idempotency-Key has at most %d bytes", maxKey)
	}
	words, told, err := w.requested(ctx, actor, run.Run, c.Reason)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(strings.TrimSpace(c.Reason) + "\n\n" + words)
	key := cmp.Or(c.Key, mgx.NewID[string]("key"))
	err = w.o.Engine.Signal(ctx, run.Execution, team.MessageSignal, team.Message{Text: text, By: told.By, Quotes: words != ""},
		scopeOf(run).Event(mgx.RunMessageSent, mgx.MessageSentData{Text: text, By: told.By}), scopeOf(run).Event(mgx.RunChangesRequested, told),
		act(actor, "run.changes", string(run.ID), map[string]any{"comments": told.Comments, "bytes": len(text)}, string(run.Execution), "changes", key))
	if mgx.IsCode(err, mgx.CodeConflict) {
		return nil
	}
	return err
}

func approvalOf(a *mgx.Approval) string {
	if a == nil {
		return ""
	}
	return a.ID
}

// requested are the open comments in words for the agents, and the event that says
// that they were sent.
func (w *Work) requested(ctx context.Context, actor access.Actor, run mgx.Run, reason string) (words string, told mgx.ChangesRequestedData, err error) {
	told = mgx.ChangesRequestedData{By: whoActs(actor), Reason: strings.TrimSpace(reason)}
	if len(reason) > maxReason || !mgx.IsText(reason) {
		return "", told, mgx.Errorf(mgx.KindUsage, "bad_reason", "what you want to be different is text of at most %d bytes", maxReason)
	}
	r := Review{}
	if run.Remarks > 0 {
		if r, err = w.review(ctx, run); err != nil {
			return "", told, err
		}
	}
	open := r.open()
	for _, c := range open {
		told.Comments = append(told.Comments, c.ID)
	}
	if told.Reason == "" && len(open) == 0 {
		return "", told, mgx.Errorf(mgx.KindUsage, CodeNothingRequested, "no comment is open, so say in words what should be different")
	}
	if words = remarksText(open); len(words) > maxRemarkText {
		return "", told, mgx.Errorf(mgx.KindUsage, "too_many_comments", "the open comments are longer than the %d bytes that are sent at once; close some of them", maxRemarkText)
	}
	return words, told, nil
}

// remarksText is comments as agents read them. Names and lines are the repository's,
// so they stand in quotes.
func remarksText(all []Comment) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("Comments on lines of your change:\n")
	for i, c := range all {
		fmt.Fprintf(&b, "\n%d. File %q, line %d", i+1, c.File, c.Line)
		if c.Side == SideOld {
			fmt.Fprintf(&b, " as it was before your change, which reads %q", c.Quote)
		} else if c.Outdated {
			fmt.Fprintf(&b, " of an earlier state of it, which reads %q", c.Quote)
		}
		b.WriteString(":\n   " + strings.ReplaceAll(c.Text, "\n", "\n   ") + "\n")
	}
	return b.String()
}
