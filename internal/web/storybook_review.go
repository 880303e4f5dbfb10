package web

import (
	"strings"
	"time"

	"mgx/internal/app"
)

// sampleGraph is an execution in which two agents work side by side, with a step in
// every state.
func sampleGraph() *graph {
	node := func(label, state, note string, after ...int) graphNode {
		return graphNode{Label: label, State: state, Note: note, Link: "#b-graph", After: after}
	}
	return layOut([]graphNode{
		node("prepare", "done", "1 step, 120 ms"),
		node("server", "done", "14 steps, 2 min 5 s", 0),
		node("client", "failed", "3 steps, 41 s", 0),
		node("docs", "cancelled", "1 step", 0),
		node("check", "running", "2 steps, 9 s", 1, 2),
		node(middle(mostLabel, strings.Repeat("a-name-without-an-end/", 4)), "queued", "1 step", 3),
		node("decision/deliver", "waiting", "for a person", 4, 5),
	})
}

// sampleNotes are comments in every state.
func sampleNotes(now time.Time) []note {
	n := func(id, state, text string) note {
		return note{Comment: app.Comment{ID: "note_" + id, At: now.Add(-7 * time.Minute), File: "limiter.go", Side: "new", Line: 16, State: state, Text: text}, Name: "ada", Step: "grace"}
	}
	old := n("outdated", app.CommentOpen, strings.Repeat("A comment that goes on and on. ", 12))
	old.Outdated, old.Quote = true, "l.seen[client]++"
	return []note{n("open", app.CommentOpen, "Say **why** it is `count`."), n("sent", app.CommentSent, "This wants a test."), n("closed", app.CommentClosed, "Spelling."), old}
}
