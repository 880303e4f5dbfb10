package web

import (
	"strings"
	"unicode/utf8"

	"mgx"
)

// A timeline shows a bounded part of a run, and of each item a bounded part: what
// is longer has its place beside the timeline, where one item is seen whole. So a
// page weighs the same however much a run said.
const (
	shownOutput   = 6 << 10   // bytes of what a program printed, half from each end
	shownLines    = 200       // lines of it, where they are short
	shownArgument = 3 << 10   // bytes of one argument of a tool call
	shownCall     = 9 << 10   // bytes of all of them
	shownText     = 16 << 10  // bytes of what a model said
	windowBytes   = 320 << 10 // bytes of the words of a part
	itemBytes     = 700       // what an item weighs besides its words, roughly
)

// head is the beginning of a text, at most so many bytes, to the end of a line
// where that is near.
func head(text string, most int) string {
	if len(text) <= most {
		return text
	}
	if i := strings.LastIndexByte(text[:most], '\n'); i > most/2 {
		return text[:i]
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most]
}

// tail is the end of a text, in the same way.
func tail(text string, most int) string {
	if len(text) <= most {
		return text
	}
	from := len(text) - most
	if i := strings.IndexByte(text[from:], '\n'); i >= 0 && i < most/2 {
		return text[from+i+1:]
	}
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return text[from:]
}

// shownArguments are those of a tool call, as far as the timeline shows them.
func shownArguments(text string) (all []argument) {
	room := shownCall
	for _, a := range arguments(text) {
		if room <= 0 {
			break
		}
		if shown := head(a.Value, min(room, shownArgument)); len(shown) < len(a.Value) {
			a.Value = shown + "…"
		}
		room -= len(a.Value)
		all = append(all, a)
	}
	return all
}

// shownChecks are checks with the end of what each printed.
func shownChecks(d mgx.ChecksData) mgx.ChecksData {
	all := make([]mgx.CheckResult, len(d.Checks))
	for i, c := range d.Checks {
		if end := tail(c.Output, shownOutput); len(end) < len(c.Output) {
			c.Output = "…\n" + end
		}
		all[i] = c
	}
	d.Checks = all
	return d
}

// shownTurn is what a model said, with whether that is all.
func shownTurn(text string) (shown string, cut bool) {
	shown = head(text, shownText)
	return shown, len(shown) < len(text)
}

// weight is how many bytes of a page an item takes, roughly.
func (i *item) weight() int {
	n := itemBytes
	switch {
	case i.Turn != nil:
		n += len(i.Turn.Text)
	case i.Tool != nil:
		n += min(len(i.Tool.Args), shownCall) + i.Tool.Output.bytes
	case i.Checks != nil:
		for _, c := range i.Checks.Checks {
			n += itemBytes/2 + len(c.Output)
		}
	case i.Review != nil:
		n += len(i.Review.Summary)
		for _, f := range i.Review.Findings {
			n += itemBytes/2 + len(f.Title) + len(f.Body)
		}
	case i.Plan != nil:
		for _, s := range i.Plan.Steps {
			n += itemBytes/4 + len(s.Text)
		}
	}
	return n
}

// weightOf is that of all items of phases.
func weightOf(phases []*phase) (n int) {
	for _, p := range phases {
		for _, i := range p.Items {
			n += i.weight()
		}
	}
	return n
}

// newest keeps the newest items of phases, as many as a part has room for, and at
// least one. It returns the sequence of the first, or 0 when all are kept.
func newest(phases []*phase) (kept []*phase, first int64) {
	room := windowBytes
	for p := len(phases) - 1; p >= 0; p-- {
		items := phases[p].Items
		for i := len(items) - 1; i >= 0; i-- {
			if room -= items[i].weight(); room < 0 && first > 0 {
				return between(phases, func(i *item) bool { return i.First >= first }), first
			}
			first = items[i].First
		}
	}
	return phases, 0
}
