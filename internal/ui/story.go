package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mgx"
)

// story turns a run's events into lines. It remembers what later lines need:
// the calls that have no result yet, the totals, the plan.
type story struct {
	page
	verbose bool
	repo    string // as Options has it

	run     mgx.Run // what of it the lines need: settings, cost, usage, phase, plan
	calls   []mgx.ToolCallData
	sandbox string // level of the last call
	frame   int    // of the spinner
}

// maxCalls bounds the calls remembered; events of lost results would pile up.
const maxCalls = 64

// seed takes over where a run stands.
func (s *story) seed(run mgx.Run) { s.run = run }

// tell returns the lines to print for e.
func (s *story) tell(e mgx.Event) []string {
	s.lines = nil
	if tell, ok := tellers[e.Type]; ok {
		tell(s, e)
	} else if s.verbose {
		s.say(span{text: "  "}, span{text: describe(e), tint: dim})
	}
	return s.lines
}

var tellers = map[mgx.EventType]func(*story, mgx.Event){
	mgx.RunCreated:          told((*story).created),
	mgx.TaskCreated:         silent,
	mgx.TaskStarted:         silent,
	mgx.TaskCompleted:       silent, // the summary says it
	mgx.TaskFailed:          silent,
	mgx.TaskCancelled:       silent,
	mgx.RunPhaseChanged:     told((*story).phase),
	mgx.RunPlanUpdated:      told((*story).plan),
	mgx.RunChecksCompleted:  told((*story).checks),
	mgx.RunReviewCompleted:  told((*story).review),
	mgx.RunAnswered:         told((*story).answered),
	mgx.RunDelivered:        told((*story).delivered),
	mgx.RunNoted:            told((*story).noted),
	mgx.RunMessageSent:      told((*story).messageSent),
	mgx.RunChangesRequested: told((*story).changesRequested),
	mgx.RunPaused:           told((*story).paused),
	mgx.RunContinued:        told((*story).continued),
	mgx.RunNetworkUsed:      told((*story).network),
	mgx.AgentMessage:        told((*story).message),
	mgx.ToolCalled:          told((*story).toolCalled),
	mgx.ToolReturned:        told((*story).toolReturned),
	mgx.LLMCallCompleted:    told((*story).modelCalled),
	mgx.LLMProviderError:    told((*story).providerFailed),
	mgx.ApprovalRequested:   told((*story).approvalRequested),
	mgx.ApprovalDecided:     told((*story).approvalDecided),
	mgx.WorkflowWaiting:     told((*story).waiting),
	mgx.WorkflowResumed:     told((*story).resumed),
}

func silent(*story, mgx.Event) {}

// told decodes an event for a teller. One that does not decode has nothing to
// tell: showing progress is no place to fail.
func told[D any](tell func(*story, D)) func(*story, mgx.Event) {
	return func(s *story, e mgx.Event) {
		var d D
		if e.Decode(&d) == nil {
			tell(s, d)
		}
	}
}

func (s *story) created(d mgx.RunCreatedData) {
	s.run.Settings = d.Settings
	s.say(span{text: d.Task.Title, tint: bold})
	about := []string{"model " + d.Settings.Model}
	if d.Repo.Path != "" {
		about = append(about, cmp.Or(s.repo, d.Repo.Path)+" at "+short(d.Repo.Head))
	}
	if d.Settings.Budget != nil {
		about = append(about, "budget "+d.Settings.Budget.String())
	}
	if hosts := d.Settings.AllowHosts; len(hosts) > 0 {
		about = append(about, "network "+strings.Join(hosts, ", "))
	}
	s.say(span{text: "  "}, span{text: strings.Join(about, " · "), tint: dim})
}

func (s *story) phase(d mgx.PhaseData) {
	s.run.Phase = d.Phase
	s.gap()
	s.say(span{text: "▸ "}, span{text: title(d.Phase), tint: bold}, span{text: "  "}, span{text: d.Note, tint: dim})
}

func (s *story) message(d mgx.AgentMessageData) {
	text := firstLine(d.Text)
	if text == "" || d.Role != "assistant" && !s.verbose {
		return
	}
	who, tint := d.AgentRole, roleTints[d.AgentRole]
	if d.Role != "assistant" || who == "" {
		who, tint = strings.TrimSpace(d.AgentRole+" "+d.Role), dim
	}
	if s.verbose {
		s.say(span{text: "  "}, span{text: who, tint: tint})
		s.text("    ", d.Text, 40, none)
		return
	}
	s.say(span{text: "  "}, span{text: who, tint: tint}, span{text: "  "}, span{text: text})
}

func (s *story) toolCalled(d mgx.ToolCallData) {
	s.calls = append(s.calls, d)
	s.calls = s.calls[max(0, len(s.calls)-maxCalls):]
	if d.SandboxLevel == "" || d.SandboxLevel == s.sandbox {
		return
	}
	s.sandbox = d.SandboxLevel
	if d.SandboxLevel == "off" {
		s.warn("tools run without a sandbox, as you asked with --sandbox=off")
		return
	}
	s.say(span{text: "  tools run in a sandbox: " + d.SandboxLevel, tint: dim})
}

func (s *story) toolReturned(d mgx.ToolResultData) {
	var summary string
	if i := slices.IndexFunc(s.calls, func(c mgx.ToolCallData) bool { return c.CallID == d.CallID }); i >= 0 {
		summary = s.calls[i].Summary
		s.calls = slices.Delete(s.calls, i, i+1)
	}
	m := toolMark(d)
	took := time.Duration(d.DurationMS) * time.Millisecond
	s.call(m, d.Name, summary, result(m, d.ExitCode, took))
	if m.word != "success" {
		s.quote(tail(d.Output, tailLines))
	}
}

// call adds the line of one tool call or check.
func (s *story) call(m mark, name, summary, result string) {
	s.say(span{text: "  "}, m.icon(), span{text: " " + pad(clean(name), 6) + " ", tint: none},
		span{text: firstLine(summary), flex: true}, span{text: "  " + result, tint: dim})
}

func (s *story) checks(d mgx.ChecksData) {
	head, m := "Checks, round "+d.Round, outcomeMark(d.Outcome())
	if d.Round == "baseline" {
		head = "Checks before any change"
	}
	s.say(span{text: "  "}, m.icon(), span{text: " " + head + ": "}, span{text: m.word, tint: m.tint})
	for _, c := range d.Checks {
		m := outcomeMark(c.Status)
		took := time.Duration(c.DurationMS) * time.Millisecond
		s.say(span{text: "    "}, m.icon(), span{text: " "}, span{text: nameOf(c), flex: true},
			span{text: "  " + result(m, &c.ExitCode, took), tint: dim})
		if c.Status != "passed" {
			s.quote(tail(c.Output, tailLines))
		}
	}
}

// nameOf names a check, with its command where that says more.
func nameOf(c mgx.CheckResult) string {
	if c.Name == "" || c.Name == c.Command {
		return firstLine(c.Command)
	}
	return c.Name + ": " + firstLine(c.Command)
}

func (s *story) plan(d mgx.PlanUpdatedData) {
	old, known := s.run.PlanHash, s.run.Plan != nil
	s.run.Plan, s.run.PlanHash = &d.Plan, d.Hash
	if known && old == d.Hash {
		s.planMoved(d.Plan)
		return
	}
	s.say(span{text: "  Plan: ", tint: bold}, span{text: firstLine(d.Plan.Goal)})
	for i, step := range d.Plan.Steps {
		s.say(span{text: fmt.Sprintf("   %2d ", i+1)}, stepMark(step.Status).icon(), span{text: " " + firstLine(step.Text)})
	}
	for _, risk := range d.Plan.Risks {
		s.say(span{text: "      "}, span{text: "risk: " + firstLine(risk), tint: dim})
	}
}

// planMoved tells how far a plan is that was already printed.
func (s *story) planMoved(p mgx.Plan) {
	done, doing := planState(p)
	s.say(span{text: fmt.Sprintf("  Plan: %d of %s done", done, plural(len(p.Steps), "step")), tint: dim},
		span{text: doing, tint: dim})
}

func planState(p mgx.Plan) (done int, doing string) {
	for _, step := range p.Steps {
		switch step.Status {
		case "done", "dropped":
			done++
		case "doing":
			doing = ", now: " + firstLine(step.Text)
		}
	}
	return done, doing
}

func (s *story) approvalRequested(d mgx.ApprovalRequestedData) {
	s.run.Approval = &mgx.Approval{ID: d.ApprovalID, Effect: d.Effect, Hash: d.Hash}
	s.say(span{text: "  ◆ Decision needed: ", tint: strong}, span{text: firstLine(d.Effect)})
}

func (s *story) approvalDecided(d mgx.ApprovalDecidedData) {
	m, word := outcomeMark("denied"), "Rejected"
	switch {
	case d.Approved:
		m, word = outcomeMark("passed"), "Approved"
	case d.Changes:
		return // it was said when they were requested
	}
	s.say(span{text: "  "}, m.icon(), span{text: " " + word + " by " + d.By, tint: m.tint}, span{text: because(d.Reason)})
}

func because(reason string) string {
	if reason = firstLine(reason); reason != "" {
		return ": " + reason
	}
	return ""
}

func (s *story) review(d mgx.ReviewData) {
	m, word := reviewWord(d)
	s.say(span{text: "  "}, m.icon(), span{text: fmt.Sprintf(" Review, round %d: ", d.Round)},
		span{text: word, tint: m.tint}, span{text: because(d.Summary)})
	for _, f := range d.Findings {
		s.say(span{text: "    "}, span{text: f.Priority, tint: priorityTints[f.Priority]}, span{text: " "},
			span{text: place(f), tint: cyan}, span{text: firstLine(f.Title)})
	}
}

// answered does not tell the answer: that is the command's result.
func (s *story) answered(mgx.AnsweredData) {
	s.say(span{text: "  "}, outcomeMark("passed").icon(), span{text: " Answered"})
}

func (s *story) delivered(d mgx.DeliveredData) {
	s.say(span{text: "  "}, outcomeMark("passed").icon(), span{text: " Delivered "}, span{text: d.Branch, tint: bold, flex: true},
		span{text: fmt.Sprintf("  %s · %s · %s", short(d.Commit), plural(d.Commits, "commit"), changes(d)), tint: dim})
}

func (s *story) noted(d mgx.NotedData) {
	if d.Level == "warning" {
		s.warn(d.Text)
		return
	}
	s.say(span{text: "  · " + firstLine(d.Text), tint: dim})
}

func (s *story) warn(text string) {
	for i, l := range wrap(text, s.width-4, 6) {
		lead := "    "
		if i == 0 {
			lead = "  ! "
		}
		s.say(span{text: lead, tint: yellow}, span{text: l, tint: yellow})
	}
}

func (s *story) modelCalled(d mgx.LLMCallData) {
	r := &s.run
	r.Calls++
	r.Usage, r.Cost = r.Usage.Add(d.Usage), r.Cost+d.CostUSD
	r.CostUnknown = r.CostUnknown || !d.PriceKnown
	if s.verbose {
		s.say(span{text: fmt.Sprintf("  · %s/%s: %s in, %s out, %s, %s", d.Provider, d.Model, Tokens(d.Usage.Prompt),
			Tokens(d.Usage.Completion), d.CostUSD, Duration(time.Duration(d.DurationMS)*time.Millisecond)), tint: dim})
	}
}

func (s *story) providerFailed(d mgx.ProviderErrorData) {
	text := fmt.Sprintf("%s/%s: %s: %s", d.Provider, d.Model, strings.ReplaceAll(d.ErrorType, "_", " "), d.Message)
	switch {
	case d.Retrying:
		text += fmt.Sprintf("; trying again (%d)", d.RetryCount+1)
	case d.Fallback != "":
		text += "; going on with " + d.Fallback
	}
	s.warn(text)
}

func (s *story) messageSent(d mgx.MessageSentData) {
	s.say(span{text: "  › "}, span{text: d.By, tint: bold}, span{text: "  "}, span{text: firstLine(d.Text)})
}

func (s *story) changesRequested(d mgx.ChangesRequestedData) {
	s.say(span{text: "  ◆ " + d.By + " wants changes, with " + plural(len(d.Comments), "comment") + because(d.Reason)})
}

func (s *story) paused(d mgx.PausedData) {
	s.run.Paused = &d
	s.say(span{text: "  ◆ Paused by " + d.By + because(d.Reason) + "; it stands still before its next step"})
}

func (s *story) continued(d mgx.ContinuedData) {
	s.run.Paused = nil
	s.say(span{text: "  · " + d.By + " lets it go on", tint: dim})
}

func (s *story) waiting(d mgx.WaitingData) {
	if s.run.Paused != nil {
		return // it was said
	}
	if d.Until != nil {
		s.say(span{text: "  ◆ Waiting until " + stamp(*d.Until), tint: dim})
		return
	}
	s.say(span{text: "  ◆ Waiting for " + d.For, tint: dim})
}

func (s *story) resumed(d mgx.ResumedData) {
	s.say(span{text: "  · Going on (" + d.Reason + ")", tint: dim})
}

// abandoned are the lines of the calls that never got a result.
func (s *story) abandoned() []string {
	s.lines = nil
	for _, c := range s.calls {
		s.call(runMark(mgx.RunCancelled), c.Name, c.Summary, "no result")
	}
	s.calls = nil
	return s.lines
}

const spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"

// now is the live line: what is going on, for how long, at what cost.
func (s *story) now(width int, elapsed time.Duration, saying string) string {
	frames := []rune(spinner)
	s.frame = (s.frame + 1) % len(frames)
	line := style{color: s.color, width: width}
	lead := string(frames[s.frame]) + " " + title(s.run.Phase) + "  "
	end := fmt.Sprintf("  %s · %s tokens · %s", Duration(elapsed), Tokens(s.run.Usage.Total()), s.run.Cost)
	return line.line(span{text: lead, tint: blue}, s.doing(saying, width-columns(clean(lead))-columns(end)), span{text: end, tint: dim})
}

// doing is what runs at the moment: tools, else the end of what the model says.
func (s *story) doing(saying string, room int) span {
	if n := len(s.calls); n > 0 {
		last := s.calls[n-1]
		text := last.Name + " " + firstLine(last.Summary)
		if n > 1 {
			text = fmt.Sprintf("%s and %d more", text, n-1)
		}
		return span{text: text, flex: true}
	}
	if saying = strings.TrimSpace(clean(saying)); saying != "" {
		return span{text: cutFront(saying, room), tint: dim, flex: true}
	}
	return span{text: "thinking", tint: dim, flex: true}
}

// title writes a phase as a heading.
func title(phase string) string {
	if phase == "" {
		return "Starting"
	}
	return strings.ToUpper(phase[:1]) + phase[1:]
}
