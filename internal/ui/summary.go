package ui

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"mgx"
)

// SummaryOptions add to a run what its row does not say.
type SummaryOptions struct {
	Elapsed   time.Duration // wall time of this command
	Own       time.Duration // of it, what MGX itself took; 0: not said
	Unsettled mgx.Money     // reserved by calls that a crash left open
	Next      []string      // commands to try, most useful first
	Color     Choice
	Width     int // columns; 0: the terminal's, else as many as it takes
}

// statLines is how many files the summary's diff stat lists.
const statLines = 10

// Summary prints the box at the end of a run: how it ended, what came out of it
// and what it took, then what to do next. The answer to a question is not in it.
func Summary(w io.Writer, run mgx.Run, o SummaryOptions) error {
	s := summary{page: page{style: styleOf(w, o.Color, o.Width)}, run: run}
	s.box, s.width = s.width, cmp.Or(o.Width, reportWidth(w))
	s.outcome()
	s.product()
	s.judged()
	s.spent(o)
	s.say(span{text: "╰" + strings.Repeat("─", max(0, s.box-1)), tint: dim})
	s.next(o.Next)
	return s.write(w)
}

type summary struct {
	page
	box int // columns of its lines
	run mgx.Run
}

func (s *summary) outcome() {
	m := markOf(s.run)
	word, why := outcome(s.run)
	head, rest := join(word, clean(why)), []string(nil)
	if columns(head) > s.box-8 || strings.Contains(why, "\n") {
		head, rest = word, wrap(why, s.width-4, 12)
	}
	s.gap()
	s.say(span{text: "╭─ ", tint: dim}, m.icon(), span{text: " " + head + " ", tint: m.tint, flex: true},
		span{text: strings.Repeat("─", max(0, s.box-6-columns(head))), tint: dim, flex: true})
	s.rows("", rest...)
	if s.run.Failure != nil {
		for _, a := range s.run.Failure.SuggestedActions {
			s.rows("", wrap("→ "+a, s.width-4, 4)...)
		}
	}
}

// row adds one line of the box: a name and a value.
func (s *summary) row(name string, spans ...span) {
	head := []span{{text: "│ ", tint: dim}}
	if name != "" {
		head = append(head, span{text: pad(name, 9), tint: dim})
	}
	s.say(append(head, spans...)...)
}

// rows adds lines under one name.
func (s *summary) rows(name string, lines ...string) {
	for _, l := range lines {
		s.row(name, span{text: l})
		if name != "" {
			name = " "
		}
	}
}

func (s *summary) product() {
	d := s.run.Delivered
	if d == nil {
		return
	}
	s.row("branch", span{text: d.Branch, tint: bold})
	s.row("commit", span{text: fmt.Sprintf("%s (%s on %s)", short(d.Commit), plural(d.Commits, "commit"), short(d.Base))})
	s.row("changes", span{text: changes(*d)})
	for _, l := range d.Stat[:min(len(d.Stat), statLines)] {
		s.row(" ", span{text: l, tint: dim})
	}
	if more := len(d.Stat) - statLines; more > 0 {
		s.row(" ", span{text: fmt.Sprintf("and %d more", more), tint: dim})
	}
}

func (s *summary) judged() {
	if c := s.run.Checks; len(c.Checks) > 0 {
		m := outcomeMark(c.Outcome())
		s.row("checks", m.icon(), span{text: " " + passedOf(c)}, span{text: checkNames(c), tint: dim})
	}
	if r := s.run.Review; r.Round > 0 {
		m, word := reviewWord(r)
		s.row("review", m.icon(), span{text: fmt.Sprintf(" %s in round %d", word, r.Round)}, span{text: because(r.Summary), tint: dim})
	}
}

func checkNames(c mgx.ChecksData) string {
	var names []string
	for _, one := range c.Checks {
		names = append(names, nameOf(one))
	}
	return ": " + strings.Join(names, ", ")
}

func (s *summary) spent(o SummaryOptions) {
	r := s.run
	work := plural(r.Calls, "model call") + ", " + plural(r.ToolCalls, "tool call")
	if r.Denied > 0 {
		work += fmt.Sprintf(" (%d refused)", r.Denied)
	}
	s.row("work", span{text: work})
	s.row("tokens", span{text: tokensOf(r.Usage)})
	cost := costOf(r)
	if r.CostUnknown && !isScripted(r.Settings.Model) {
		cost += ": " + r.Settings.Model + " has no known price"
	}
	if o.Unsettled > 0 {
		cost += fmt.Sprintf(", and up to %s for calls that were cut off", o.Unsettled)
	}
	s.row("cost", span{text: cost})
	took := Duration(o.Elapsed)
	if o.Own > 0 {
		took += fmt.Sprintf(" (%s of it MGX itself)", Duration(o.Own))
	}
	s.row("time", span{text: took})
}

func tokensOf(u mgx.Usage) string {
	text := fmt.Sprintf("%s prompt, %s completion", Tokens(u.Prompt), Tokens(u.Completion))
	if u.Cached > 0 {
		text += fmt.Sprintf(", %s of the prompt cached", Tokens(u.Cached))
	}
	return text
}

// next lists commands, whole and without a frame so that they can be copied.
func (s *summary) next(commands []string) {
	for i, c := range commands {
		lead := "       "
		if i == 0 {
			lead = "Next:  "
		}
		s.lines = append(s.lines, s.paint(dim, lead)+clean(c))
	}
}

// Outcome says in words how a run ended, or where it stands.
func Outcome(r mgx.Run) string { return join(outcome(r)) }

// outcome is Outcome in two parts: what, and why or how.
func outcome(r mgx.Run) (word, why string) {
	if !r.ErasedAt.IsZero() {
		return "Erased", r.ErasedAt.Format("2006-01-02") + "; only its ids, counts and times are left"
	}
	switch r.Status {
	case mgx.RunDone:
		return "Done", doneWords(r)
	case mgx.RunFailed:
		return "Failed", r.Err().Message
	case mgx.RunRefused:
		return "Refused", r.Err().Message
	case mgx.RunCancelled:
		if r.Failure != nil && r.Failure.Code == mgx.CodeTimedOut {
			return "Timed out", r.Failure.Message
		}
		return "Cancelled", cmp.Or(r.Reason, failureText(r))
	case mgx.RunWaiting:
		return waitingWords(r)
	case mgx.RunQueued:
		return "Queued", "no work was done yet"
	case mgx.RunRunning:
		return "Not ended", "in phase " + cmp.Or(r.Phase, mgx.PhasePrepare)
	}
	return string(r.Status), ""
}

func doneWords(r mgx.Run) string {
	switch {
	case r.Delivered != nil:
		return "delivered on " + r.Delivered.Branch
	case r.Answer != "":
		return "answered"
	}
	return "nothing had to be changed"
}

func waitingWords(r mgx.Run) (word, why string) {
	if r.Paused != nil {
		return "Paused", "by " + r.Paused.By + because(r.Paused.Reason)
	}
	if a := r.Approval; a != nil && !a.Decided {
		return "Waiting for your decision", a.Effect
	}
	return "Waiting", "for " + r.Waiting
}

func failureText(r mgx.Run) string {
	if r.Failure == nil {
		return ""
	}
	return r.Failure.Message
}
