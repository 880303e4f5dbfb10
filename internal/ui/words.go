package ui

import (
	"fmt"
	"strings"
	"time"

	"mgx"
)

// mark is how a state looks: always a shape, a colour and a word.
type mark struct {
	shape string
	tint  tint
	word  string
}

func (m mark) icon() span { return span{text: m.shape, tint: m.tint} }
func (m mark) full() span { return span{text: m.shape + " " + m.word, tint: m.tint} }

var runMarks = map[mgx.RunStatus]mark{
	mgx.RunQueued:    {"○", dim, "queued"},
	mgx.RunRunning:   {"◔", blue, "running"},
	mgx.RunWaiting:   {"◆", strong, "waiting"},
	mgx.RunDone:      {"✓", green, "done"},
	mgx.RunFailed:    {"✕", red, "failed"},
	mgx.RunRefused:   {"⊠", violet, "refused"},
	mgx.RunCancelled: {"⊘", dim, "cancelled"},
}

func runMark(s mgx.RunStatus) mark {
	if m, ok := runMarks[s]; ok {
		return m
	}
	return mark{"?", none, string(s)}
}

// markOf is runMark, of one that stands still as well.
func markOf(r mgx.Run) mark {
	m := runMark(r.Status)
	if r.Status == mgx.RunWaiting && r.Paused != nil {
		m.word = "paused"
	}
	return m
}

// outcomeMark is how the status of a check or a tool call looks.
func outcomeMark(status string) mark {
	switch status {
	case "passed", "success":
		return mark{"✓", green, status}
	case "denied", "refused":
		return mark{"⊠", violet, "refused"}
	case "timeout":
		return mark{"✕", red, "timed out"}
	case "unavailable", "none": // nothing was judged
		return mark{"○", yellow, status}
	}
	return mark{"✕", red, status}
}

// toolMark is outcomeMark for a tool call: a program that ran and exited with
// another code than 0 has not succeeded in the eyes of the person watching.
func toolMark(d mgx.ToolResultData) mark {
	if d.Status == "success" && d.ExitCode != nil && *d.ExitCode != 0 {
		return mark{"✕", red, "failed"}
	}
	return outcomeMark(d.Status)
}

func stepMark(status string) mark {
	switch status {
	case "done":
		return mark{"✓", green, "done"}
	case "doing":
		return mark{"◔", blue, "doing"}
	case "dropped":
		return mark{"⊘", dim, "dropped"}
	}
	return mark{"○", dim, "to do"}
}

var priorityTints = map[string]tint{"P0": red, "P1": red, "P2": yellow}

// roleTints gives the roles that talk most a colour of their own.
var roleTints = map[string]tint{
	"triage": cyan, "planner": violet, "implementer": blue, "reviewer": green, "answerer": cyan,
}

// tailLines is how much of a failed tool's or check's output is shown.
const tailLines = 3

// result words what came of a program or tool: status if it needs saying, exit
// code if there is a telling one, time.
func result(m mark, exit *int, took time.Duration) string {
	var parts []string
	if m.word == "refused" || m.word == "timed out" || m.word == "unavailable" {
		parts = append(parts, m.word)
	}
	if exit != nil && *exit > 0 {
		parts = append(parts, fmt.Sprint("exit ", *exit))
	}
	return strings.Join(append(parts, Duration(took)), " · ")
}

// place words where a finding is.
func place(f mgx.Finding) string {
	switch {
	case f.File == "":
		return ""
	case f.Line > 0:
		return fmt.Sprintf("%s:%d  ", f.File, f.Line)
	}
	return f.File + "  "
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// short is the first characters of a git id.
func short(id string) string { return id[:min(len(id), 10)] }

func changes(d mgx.DeliveredData) string {
	return fmt.Sprintf("%s, +%d -%d", plural(d.Files, "file"), d.Additions, d.Deletions)
}

func isScripted(model string) bool {
	return strings.HasPrefix(model, "scripted/") || model == "scripted"
}

// costOf words what a run has cost so far.
func costOf(r mgx.Run) string {
	switch {
	case isScripted(r.Settings.Model) && r.Cost == 0:
		return "$0.0000 (scripted model)"
	case r.CostUnknown && r.Cost == 0:
		return "unknown"
	case r.CostUnknown:
		return "at least " + r.Cost.String()
	}
	return r.Cost.String()
}

func reviewWord(d mgx.ReviewData) (mark, string) {
	if d.Verdict == "approve" {
		return mark{"✓", green, "approved"}, "approved"
	}
	return mark{"◆", yellow, "revise"}, "asks for changes"
}
