package web

import (
	"html/template"
	"strconv"
	"strings"
	"time"

	"mgx"
)

// phase is a stretch of a run: its items until the next one begins.
type phase struct {
	Key   string // of the phase and where it began; empty: that is before what was read
	Name  string
	Note  string
	At    time.Time
	Items []*item
}

// item is one thing that a run did: what a model said, a tool call with what came
// of it, checks, a verdict, a decision. One of the pointers says which.
type item struct {
	ID    string    // of its element: the same for the same item, however it is read
	First int64     // sequence of the event that it begins with
	Last  int64     // and of the last one that changed it
	At    time.Time // when it began
	Kind  string

	Turn   *turn
	Tool   *toolItem
	Checks *mgx.ChecksData
	Review *mgx.ReviewData
	Plan   *mgx.Plan
	Ask    *mgx.ApprovalRequestedData
	Answer *mgx.ApprovalDecidedData
	Done   *mgx.DeliveredData
	Wait   *mgx.WaitingData
	Failed *mgx.TaskErrorData
	Said   said // everything else that is worth a line
}

// said is a line about something small: a text of the catalogue with what it is
// about, or words of others when there is no key.
type said struct {
	Icon, Tone, Key string
	Args            []any
}

// turn is one answer of a model.
type turn struct {
	Role   string
	Text   string // Markdown, as far as the timeline shows it
	Cut    bool   // that is not all
	whole  string
	Calls  []string
	Usage  mgx.Usage
	Cost   mgx.Money
	Priced bool
	Model  string
	Took   int64 // milliseconds
}

// toolItem is a tool call, with its result when that is there.
type toolItem struct {
	Call    mgx.ToolCallData
	Result  *mgx.ToolResultData
	Output  output
	Args    string
	Effect  string
	Verdict string
}

// Whole is all that it said.
func (t turn) Whole() string { return t.whole }

// Letter and Hue tell agents apart.
func (t turn) Letter() string { return letterOf(t.Role) }
func (t turn) Hue() string    { return hueOf(t.Role) }

func letterOf(role string) string {
	if role == "" {
		return "?"
	}
	return strings.ToUpper(role[:1])
}

// hueOf is one of six looks; the known roles have their own.
func hueOf(role string) string {
	known := map[string]int{"triage": 1, "planner": 2, "implementer": 3, "reviewer": 4, "explorer": 5, "answerer": 6}
	if n := known[role]; n > 0 {
		return strconv.Itoa(n)
	}
	sum := 0
	for _, c := range role {
		sum += int(c)
	}
	return strconv.Itoa(sum%6 + 1)
}

// Status is that of the call: running until its result is there.
func (t toolItem) Status() string {
	if t.Result == nil {
		return "running"
	}
	return t.Result.Status
}

// timeline folds events of a run, in order, into phases with their items.
func timeline(events []mgx.Event) []*phase {
	b := &teller{open: map[string]*item{}}
	for _, e := range events {
		b.take(e)
	}
	return b.phases
}

// teller is a timeline as it grows.
type teller struct {
	phases []*phase
	open   map[string]*item // tool calls without a result, by call id
	call   *mgx.LLMCallData // of the turn that comes next
}

// add puts an item at the end.
func (b *teller) add(e mgx.Event, kind string) *item {
	if len(b.phases) == 0 {
		b.phases = append(b.phases, &phase{})
	}
	p := b.phases[len(b.phases)-1]
	id := "e" + strconv.FormatInt(e.Sequence, 10)
	if n := len(p.Items); n > 0 && p.Items[n-1].First == e.Sequence {
		id = p.Items[n-1].ID + "b"
	}
	i := &item{ID: id, First: e.Sequence, Last: e.Sequence, At: e.Time, Kind: kind}
	p.Items = append(p.Items, i)
	return i
}

func (b *teller) say(e mgx.Event, icon, tone, key string, args ...any) {
	b.add(e, "said").Said = said{icon, tone, key, args}
}

// take folds one event in. What does not decode is left out: the events tab has it.
func (b *teller) take(e mgx.Event) {
	if tell, known := tellers[e.Type]; known {
		tell(b, e)
	}
}

// told decodes an event for a function that tells of it.
func told[D any](f func(*teller, mgx.Event, D)) func(*teller, mgx.Event) {
	return func(b *teller, e mgx.Event) {
		var d D
		if e.Decode(&d) == nil {
			f(b, e, d)
		}
	}
}

// tellers say what becomes of an event in the timeline. Types that are not here
// are the engine's own, and have their place in the tab of events.
var tellers = map[mgx.EventType]func(*teller, mgx.Event){
	mgx.RunCreated: told(func(b *teller, e mgx.Event, d mgx.RunCreatedData) {
		if d.ForkOf != "" {
			b.say(e, "fork", "", "told.forked", d.ForkOf, d.ForkAt)
		}
		b.say(e, "tasks", "", "told.asked", d.Task.Title)
	}),
	mgx.RunPhaseChanged: told(func(b *teller, e mgx.Event, d mgx.PhaseData) {
		b.phases = append(b.phases, &phase{Key: d.Phase + ":" + strconv.FormatInt(e.Sequence, 10), Name: d.Phase, Note: d.Note, At: e.Time})
	}),
	mgx.LLMCallCompleted: told(func(b *teller, e mgx.Event, d mgx.LLMCallData) { b.call = &d }),
	mgx.AgentMessage:     told((*teller).turn),
	mgx.ToolCalled:       told((*teller).called),
	mgx.ToolReturned:     told((*teller).returned),
	mgx.RunPlanUpdated:   told(func(b *teller, e mgx.Event, d mgx.PlanUpdatedData) { b.add(e, "plan").Plan = &d.Plan }),
	mgx.RunChecksCompleted: told(func(b *teller, e mgx.Event, d mgx.ChecksData) {
		shown := shownChecks(d)
		b.add(e, "checks").Checks = &shown
	}),
	mgx.RunReviewCompleted: told(func(b *teller, e mgx.Event, d mgx.ReviewData) { b.add(e, "review").Review = &d }),
	mgx.ApprovalRequested:  told(func(b *teller, e mgx.Event, d mgx.ApprovalRequestedData) { b.add(e, "ask").Ask = &d }),
	mgx.ApprovalDecided:    told(func(b *teller, e mgx.Event, d mgx.ApprovalDecidedData) { b.add(e, "answer").Answer = &d }),
	mgx.RunDelivered:       told(func(b *teller, e mgx.Event, d mgx.DeliveredData) { b.add(e, "done").Done = &d }),
	mgx.WorkflowWaiting:    told(func(b *teller, e mgx.Event, d mgx.WaitingData) { b.add(e, "wait").Wait = &d }),
	mgx.RunAnswered: told(func(b *teller, e mgx.Event, d mgx.AnsweredData) {
		t := &turn{Role: "answer", whole: d.Answer}
		t.Text, t.Cut = shownTurn(d.Answer)
		b.add(e, "turn").Turn = t
	}),
	mgx.RunNoted: told(func(b *teller, e mgx.Event, d mgx.NotedData) {
		icon, tone := "info", ""
		if d.Level == "warning" {
			icon, tone = "warn", "warn"
		}
		b.say(e, icon, tone, "told.words", d.Text)
	}),
	mgx.RunLimitReached: told(func(b *teller, e mgx.Event, d mgx.LimitReachedData) {
		what := strings.ReplaceAll(d.Limit, "_", " ")
		if d.Setting != "" {
			what += ", " + d.Setting
		}
		b.say(e, "warn", "warn", "told.limit", what)
	}),
	mgx.RunNetworkUsed: told(func(b *teller, e mgx.Event, d mgx.NetworkUsedData) {
		for _, u := range d.Hosts {
			tone := ""
			if u.Decision != "allowed" {
				tone = "warn"
			}
			b.say(e, "network", tone, "told.network", u.Decision, hostOf(u), u.Reason)
		}
	}),
	mgx.LLMProviderError: told(func(b *teller, e mgx.Event, d mgx.ProviderErrorData) {
		b.say(e, "warn", "warn", "told.provider", d.Provider+"/"+d.Model, strings.ReplaceAll(d.ErrorType, "_", " "), d.Message)
	}),
	mgx.LLMProviderFallback: told(func(b *teller, e mgx.Event, d mgx.ProviderFallbackData) {
		b.say(e, "model", "warn", "told.fallback", d.To, d.From, strings.ReplaceAll(d.Reason, "_", " "))
	}),
	mgx.SuspiciousActivity: told(func(b *teller, e mgx.Event, d mgx.SuspicionData) {
		b.say(e, "refused", "bad", "told.suspicious", strings.ReplaceAll(d.What, "_", " "), d.Detail)
	}),
	mgx.RunMessageSent: told(func(b *teller, e mgx.Event, d mgx.MessageSentData) {
		b.say(e, "person", "", "told.said", d.By, d.Text)
	}),
	mgx.RunPaused: told(func(b *teller, e mgx.Event, d mgx.PausedData) {
		if d.Reason == "" {
			b.say(e, "clock", "warn", "told.paused", d.By)
		} else {
			b.say(e, "clock", "warn", "told.paused.why", d.By, d.Reason)
		}
	}),
	mgx.RunContinued: told(func(b *teller, e mgx.Event, d mgx.ContinuedData) {
		b.say(e, "running", "", "told.continued", d.By)
	}),
	mgx.RunCommentMade: told(func(b *teller, e mgx.Event, d mgx.CommentMadeData) {
		b.say(e, "person", "", "told.comment", d.By, d.File, d.Line, d.Text)
	}),
	mgx.RunCommentClosed: told(func(b *teller, e mgx.Event, d mgx.CommentClosedData) {
		b.say(e, "person", "", "told.comment.closed", d.By)
	}),
	mgx.RunFileApproved: told(func(b *teller, e mgx.Event, d mgx.FileApprovedData) {
		if d.Approved {
			b.say(e, "done", "good", "told.file", d.By, d.File)
		} else {
			b.say(e, "person", "", "told.file.back", d.By, d.File)
		}
	}),
	mgx.RunChangesRequested: told(func(b *teller, e mgx.Event, d mgx.ChangesRequestedData) {
		b.say(e, "reload", "warn", "told.changes", d.By, len(d.Comments), d.Reason)
	}),
	mgx.ArtifactCreated: told(func(b *teller, e mgx.Event, d mgx.ArtifactCreatedData) {
		b.say(e, "package", "", "told.kept", d.Name, size(d.Size))
	}),
	mgx.TaskCompleted: told(func(b *teller, e mgx.Event, d mgx.TaskCompletedData) {
		b.say(e, "done", "good", "told.done", span(d.DurationMS))
	}),
	mgx.TaskFailed: told(func(b *teller, e mgx.Event, d mgx.TaskErrorData) { b.add(e, "failed").Failed = &d }),
	mgx.TaskCancelled: told(func(b *teller, e mgx.Event, d mgx.TaskCancelledData) {
		b.say(e, "cancelled", "", "told.cancelled", d.Reason)
	}),
}

// turn is what a model said; what the call of it cost came just before.
func (b *teller) turn(e mgx.Event, d mgx.AgentMessageData) {
	if d.Role != "assistant" {
		return
	}
	t := &turn{Role: d.AgentRole, Calls: d.ToolCalls, whole: d.Text}
	t.Text, t.Cut = shownTurn(d.Text)
	if d.Tokens != nil {
		t.Usage = *d.Tokens
	}
	if c := b.call; c != nil && c.AgentRole == d.AgentRole {
		t.Usage, t.Cost, t.Priced, t.Model, t.Took = c.Usage, c.CostUSD, c.PriceKnown, c.Provider+"/"+c.Model, c.DurationMS
	}
	b.call = nil
	b.add(e, "turn").Turn = t
}

func (b *teller) called(e mgx.Event, d mgx.ToolCallData) {
	i := b.add(e, "tool")
	i.Tool = &toolItem{Call: d, Effect: d.Effect, Args: d.Arguments, Verdict: d.Verdict}
	b.open[d.CallID] = i
}

// returned completes the call that it belongs to; without one it stands alone.
func (b *teller) returned(e mgx.Event, d mgx.ToolResultData) {
	i := b.open[d.CallID]
	if i == nil || i.Tool.Call.Name != d.Name {
		i = b.add(e, "tool")
		i.Tool = &toolItem{Call: mgx.ToolCallData{CallID: d.CallID, Name: d.Name}}
	}
	delete(b.open, d.CallID)
	i.Tool.Result, i.Tool.Output, i.Last = &d, fold(d.Output), e.Sequence
}

// output is what a program printed, with its middle folded; of what is very long
// the middle is left out.
type output struct {
	First, Middle, Last []template.HTML
	Lines               int // in all
	Left                int // of them left out

	bytes int // of what is shown
}

// Lines of an output that are seen at once, at its beginning and its end.
const (
	headLines = 12
	tailLines = 8
)

// drawnLines are the lines of an output.
func drawnLines(text string) (all []template.HTML) {
	if text = strings.TrimRight(text, "\n"); text == "" {
		return nil
	}
	for _, l := range ansiLines(text) {
		all = append(all, drawn(l))
	}
	return all
}

// fold draws an output in its parts.
func fold(text string) output {
	if text = strings.TrimRight(text, "\n"); len(text) > shownOutput || strings.Count(text, "\n") >= shownLines {
		return ends(text)
	}
	all := drawnLines(text)
	o := output{First: all, Lines: len(all), bytes: len(text) + 40*len(all)}
	if len(all) > headLines+tailLines+4 {
		o.First, o.Middle, o.Last = all[:headLines], all[headLines:len(all)-tailLines], all[len(all)-tailLines:]
	}
	return o
}

// ends draws the beginning and the end of a very long output.
func ends(text string) output {
	first, last := drawnLines(head(text, shownOutput/2)), drawnLines(tail(text, shownOutput/2))
	o := output{First: first[:min(len(first), headLines)], Last: last[max(0, len(last)-tailLines):], Lines: 1 + strings.Count(text, "\n"), bytes: shownOutput}
	o.Left = max(1, o.Lines-len(o.First)-len(o.Last))
	return o
}

// between keeps of a timeline the items that keep says, and the phases that have any.
func between(phases []*phase, keep func(*item) bool) (kept []*phase) {
	for _, p := range phases {
		q := *p
		q.Items = nil
		for _, i := range p.Items {
			if keep(i) {
				q.Items = append(q.Items, i)
			}
		}
		if len(q.Items) > 0 {
			kept = append(kept, &q)
		}
	}
	return kept
}

// hostOf is a destination in words.
func hostOf(u mgx.NetworkUse) string {
	if u.Port == 0 {
		return u.Host
	}
	return u.Host + ":" + strconv.Itoa(u.Port)
}
