package ui

import (
	"io"
	"time"

	"mgx"
)

// wideTable is the width from which a run takes one line instead of two.
const wideTable = 140

// RunsTable prints a list of runs: id, status, age and cost, title and branch; each on a
// line of its own, and whole, where no terminal is too narrow for that.
func RunsTable(w io.Writer, runs []mgx.Run, now time.Time) error {
	return runsTable(w, runs, now, reportOn(w))
}

func runsTable(w io.Writer, runs []mgx.Run, now time.Time, s style) error {
	p := page{style: s}
	if len(runs) == 0 {
		p.say(span{text: "No runs yet. Start one with: mgx run \"what you want\", or see one with: mgx demo"})
	}
	for _, r := range runs {
		head, rest := runHead(r, now), runRest(r, max(44, p.width-wideTable))
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

// runRest is a run's title, and its branch in so many columns.
func runRest(r mgx.Run, branch int) []span {
	spans := []span{{text: firstLine(r.Task.Title), tint: bold, flex: true}}
	if r.Branch != "" {
		spans = append(spans, span{text: "  " + cut(clean(r.Branch), branch), tint: cyan})
	}
	return spans
}
