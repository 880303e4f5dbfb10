package web

func reviewText() map[string]string {
	return map[string]string{
		"review.bar": "How far the review is", "review.approved": "%s of %s files approved", "review.open": "%s open comments", "review.open.one": "1 open comment",
		"review.byfile": "Somebody approves this change file by file, so it can be delivered when each file is approved.",
		"review.decide": "Decide on the delivery", "review.request": "Request changes",
		"review.request.text": "The agents hear this and all open comments before their next turn.", "review.request.why": "What should be different (may be empty when there are comments)", "review.request.do": "Send to the agents",
		"review.approve": "Approve this file", "review.takeback": "Take the approval back", "review.approved.is": "approved", "review.approved.by": "approved by %s", "review.lapsed": "changed since it was approved",
		"review.comment": "Comment on a line", "review.comment.do": "Comment", "review.comment.away": "Leave it", "review.comment.hint": "The agents get it when you request changes.",
		"review.line": "Line", "review.side": "Side", "review.side.new": "after the change", "review.side.old": "before the change", "review.words": "Comment",
		"review.sent": "sent to the agents by %s", "review.closed": "closed by %s", "review.is.open": "open", "review.at": "line %d", "review.outdated": "On a line of an earlier state of this file:", "review.close": "Close",

		"ask.changes": "Request changes", "ask.changes.open": "%s open comments go to the agents with it. The delivery can be approved when none is open.", "ask.changes.one": "The open comment goes to the agents with it. The delivery can be approved when none is open.",
		"ask.changes.hint": "What should be different? Needed when you reject.", "ask.look": "Look at what is delivered",

		"decided.approved": "%s approved what the run asked for.", "decided.rejected": "%s rejected what the run asked for.", "decided.changes": "%s requested changes; the team is at work on them.", "decided.why": "In words: %s",

		"told.comment": "%s on %s, line %d: %s", "told.comment.closed": "%s closed a comment", "told.file": "%s approved %s", "told.file.back": "%s took the approval of %s back",
		"told.changes": "%s requested changes, with %d comments. %s",
	}
}
