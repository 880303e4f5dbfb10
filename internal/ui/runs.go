package ui

import (
	"io"
	"time"

	"mgx"
)

// wideTable is the width from which a run takes one line instead of two.
const wideTable = 140

// RunsTable prints a list of runs: id, status, age and cost, title and branch.
func RunsTable(w io.Writer, runs []mgx.Run, now time.Time) error {
	return runsTable(w, runs, now, styleOf(w, Auto, 0))
}

func runsTable(w io.Writer, runs []mgx.Run, now time.Time, s style) error {
	p := page{style: s}
	if len(runs) == 0 {
		p.say(span{text: "No runs yet. Start one with: mgx run \"what you want\", or see one with: mgx demo"})
	}
	for _, r := range runs {
		head, rest := runHead(r, now), runRest(r)
		if p.width >= wideTable {
			p.say(append(append(head, span{text: "  "}), rest...)...)
			continue
		}
		p.say(head...)
		p.say(append([]span{{text: "  "}}, rest...)...)
	}
	return p.write(w)
}

func runHead(r mgx.Run, now time.Time) []span {
	m := markOf(r)
	return []span{
		{text: m.shape + " " + pad(m.word, 9) + " ", tint: m.tint},
		{text: pad(clean(string(r.ID)), 30)},
		{text: "  " + pad(Ago(r.CreatedAt, now), 10), tint: dim},
		{text: "  " + pad(shortCost(r), 9)},
	}
}

// shortCost is costOf for a column.
func shortCost(r mgx.Run) string {
	switch {
	case r.CostUnknown && r.Cost == 0 && !isScripted(r.Settings.Model):
		return "unknown"
	case r.CostUnknown && r.Cost > 0:
		return "≥ " + r.Cost.String()
	}
	return r.Cost.String()
}

func runRest(r mgx.Run) []span {
	spans := []span{{text: firstLine(r.Task.Title), tint: bold, flex: true}}
	if r.Branch != "" {
		spans = append(spans, span{text: "  " + cut(clean(r.Branch), 44), tint: cyan})
	}
	return spans
}
