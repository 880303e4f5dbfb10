package ui

import (
	"fmt"
	"io"
	"strings"
	"time"

	"mgx"
)

// Show prints everything about a run that its row and its journal hold.
func Show(w io.Writer, run mgx.Run, steps []mgx.StepRecord) error {
	return show(w, run, steps, reportOn(w))
}

func show(w io.Writer, run mgx.Run, steps []mgx.StepRecord, s style) error {
	p := shown{page: page{style: s}, run: run}
	p.head()
	p.repository()
	p.settings()
	p.times()
	p.plan()
	p.approval()
	p.checks()
	p.review()
	p.delivered()
	p.answer()
	p.spent()
	p.journal(steps)
	return p.write(w)
}

// shown is the page of one run, section by section; a section with nothing to
// say is left out.
type shown struct {
	page
	run mgx.Run
}

func (p *shown) section(name string) {
	p.gap()
	p.say(span{text: name, tint: bold})
}

// fact adds a name and a value, unless the value is empty.
func (p *shown) fact(name, value string) {
	if value == "" {
		return
	}
	for i, l := range wrap(value, p.width-14, 20) {
		if i > 0 {
			name = ""
		}
		p.say(span{text: "  " + pad(name, 12), tint: dim}, span{text: l})
	}
}

func (p *shown) head() {
	r := p.run
	p.text("", r.Task.Title, 4, bold)
	p.say(markOf(r).full(), span{text: "  " + string(r.ID), tint: dim})
	p.text("", Outcome(r), 12, none)
	if r.Failure != nil {
		p.fact("code", r.Failure.Code)
		p.fact("last step", r.Failure.LastStep)
		for _, a := range r.Failure.SuggestedActions {
			p.fact("try", a)
		}
	}
	if d := r.Task.Description; d != "" && strings.TrimSpace(d) != r.Task.Title {
		p.section("Task")
		p.text("  ", d, 60, none)
	}
}

func (p *shown) repository() {
	r := p.run.Repo
	if r.Path == "" {
		return
	}
	p.section("Repository")
	p.fact("path", r.Path)
	p.fact("from", strings.TrimSpace(r.Branch+" "+r.Head))
	if r.Dirty {
		p.fact("note", dirtyWords(p.run.Settings.IncludeDirty))
	}
	if p.run.ForkOf != "" {
		p.fact("fork of", fmt.Sprintf("%s at event %d", p.run.ForkOf, p.run.ForkAt))
	}
}

func dirtyWords(included bool) string {
	if included {
		return "with the uncommitted changes of that moment"
	}
	return "there were uncommitted changes, which were left out"
}

func (p *shown) settings() {
	s := p.run.Settings
	p.section("Settings")
	p.fact("model", s.Model)
	p.fact("approval", s.Approve)
	if s.Policy != nil {
		p.fact("policy", s.Policy.Name)
	}
	p.fact("sandbox", s.Sandbox)
	p.fact("hosts allowed", strings.Join(s.AllowHosts, "\n"))
	p.fact("limits", limits(s))
	p.fact("checks", strings.Join(s.Checks, "\n"))
}

func limits(s mgx.RunSettings) string {
	out := []string{plural(s.MaxTurns, "model turn"), Duration(s.Timeout)}
	if s.MaxTokens > 0 {
		out = append(out, Tokens(s.MaxTokens)+" tokens")
	}
	if s.Budget != nil {
		out = append(out, s.Budget.String())
	}
	return strings.Join(out, ", ")
}

func (p *shown) times() {
	r := p.run
	p.section("Times")
	p.fact("created", stampOrNot(r.CreatedAt))
	p.fact("started", stampOrNot(r.StartedAt))
	p.fact("ended", stampOrNot(r.EndedAt))
	if !r.StartedAt.IsZero() && !r.EndedAt.IsZero() {
		p.fact("took", Duration(r.EndedAt.Sub(r.StartedAt)))
	}
	p.fact("phase", r.Phase)
}

func stampOrNot(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return stamp(t)
}

func (p *shown) plan() {
	plan := p.run.Plan
	if plan == nil {
		return
	}
	p.section("Plan")
	p.text("  ", plan.Goal, 8, none)
	for i, s := range plan.Steps {
		m := stepMark(s.Status)
		for j, l := range wrap(s.Text, p.width-18, 8) {
			lead := []span{{text: strings.Repeat(" ", 16)}}
			if j == 0 {
				lead = []span{{text: fmt.Sprintf("  %2d ", i+1)}, m.icon(), {text: " " + pad(m.word, 9), tint: m.tint}}
			}
			p.say(append(lead, span{text: l})...)
		}
	}
	p.fact("files", strings.Join(plan.Files, ", "))
	p.fact("risks", strings.Join(plan.Risks, "\n"))
	p.fact("verify", strings.Join(plan.Verify, "\n"))
}

func (p *shown) approval() {
	all := p.run.Pending()
	if a := p.run.Approval; len(all) == 0 && a != nil {
		all = []mgx.Approval{*a}
	}
	for i, a := range all {
		title := "Approval"
		if len(all) > 1 {
			title = fmt.Sprintf("Approval %d of %d", i+1, len(all))
		}
		p.section(title)
		p.decision(a, len(all) > 1)
	}
}

func (p *shown) decision(a mgx.Approval, several bool) {
	p.fact("for", a.Effect)
	if a.Call != nil {
		for _, l := range proposal(*a.Call) {
			p.fact(l[0], l[1])
		}
		p.fact("--rest", "would allow "+a.Call.Rest)
	}
	p.fact("of exactly", a.Hash)
	which := ""
	if several {
		which = " " + strings.TrimPrefix(a.ID, "decision/")
	}
	rest := ""
	if a.Rest {
		rest = ", and the same for the rest of the run"
	}
	switch {
	case !a.Decided:
		p.fact("state", "waiting: mgx approve "+string(p.run.ID)+which)
	case a.Approved:
		p.fact("state", "approved by "+a.By+rest+because(a.Reason))
	default:
		p.fact("state", "rejected by "+a.By+because(a.Reason))
	}
}

func (p *shown) checks() {
	c := p.run.Checks
	if len(c.Checks) == 0 {
		return
	}
	p.section("Checks, round " + c.Round)
	for _, one := range c.Checks {
		m := outcomeMark(one.Status)
		p.say(span{text: "  "}, m.icon(), span{text: " "}, span{text: nameOf(one), flex: true},
			span{text: "  " + result(m, &one.ExitCode, time.Duration(one.DurationMS)*time.Millisecond), tint: dim})
		if one.Status != "passed" {
			p.quote(tail(one.Output, 12))
		}
	}
}

func (p *shown) review() {
	r := p.run.Review
	if r.Round == 0 {
		return
	}
	m, word := reviewWord(r)
	p.section(fmt.Sprintf("Review, round %d", r.Round))
	p.say(span{text: "  "}, m.icon(), span{text: " " + word, tint: m.tint})
	p.text("    ", r.Summary, 20, none)
	for _, f := range r.Findings {
		p.say(span{text: "  "}, span{text: f.Priority, tint: priorityTints[f.Priority]}, span{text: " "},
			span{text: place(f), tint: cyan}, span{text: firstLine(f.Title)})
		p.text("     ", f.Body, 12, dim)
	}
}

func (p *shown) delivered() {
	d := p.run.Delivered
	if d == nil {
		return
	}
	p.section("Delivered")
	p.fact("branch", d.Branch)
	p.fact("commit", d.Commit)
	p.fact("on", fmt.Sprintf("%s (%s)", d.Base, plural(d.Commits, "commit")))
	p.fact("changes", changes(*d))
	for _, l := range d.Stat {
		p.say(span{text: strings.Repeat(" ", 14)}, span{text: l, tint: dim})
	}
}

func (p *shown) answer() {
	if p.run.Answer == "" {
		return
	}
	p.section("Answer")
	p.text("  ", p.run.Answer, 400, none)
}

func (p *shown) spent() {
	r := p.run
	p.section("Spent")
	p.fact("model calls", fmt.Sprint(r.Calls))
	calls := fmt.Sprint(r.ToolCalls)
	if r.Denied > 0 {
		calls += fmt.Sprintf(", %d refused", r.Denied)
	}
	p.fact("tool calls", calls)
	p.fact("tokens", tokensOf(r.Usage))
	p.fact("cost", costOf(r))
}

func (p *shown) journal(steps []mgx.StepRecord) {
	if len(steps) == 0 {
		return
	}
	p.section(fmt.Sprintf("Steps (%d)", len(steps)))
	for _, s := range steps {
		m := outcomeMark("passed")
		if s.Failure != nil {
			m = outcomeMark("failed")
		}
		p.say(span{text: fmt.Sprintf("  %4d ", s.Order)}, m.icon(), span{text: " "}, span{text: s.Name, flex: true}, span{text: "  " + stepNote(s), tint: dim})
		if s.Failure != nil {
			p.text("         ", s.Failure.Message, 4, dim)
		}
	}
}

// stepNote says of a step what is not usual, and how long it took.
func stepNote(s mgx.StepRecord) string {
	var notes []string
	if s.Kind != mgx.StepWork {
		notes = append(notes, string(s.Kind))
	}
	if s.Attempts > 1 {
		notes = append(notes, fmt.Sprintf("%d attempts", s.Attempts))
	}
	if !s.StartedAt.IsZero() {
		notes = append(notes, Duration(s.RecordedAt.Sub(s.StartedAt)))
	}
	return strings.Join(notes, " · ")
}
