package agent

import (
	"slices"
	"strings"

	"mgx"
	"mgx/internal/guard"
	"mgx/internal/llm"
)

// Piece is a text and what is known of where it came from. The zero label is for
// words of our own.
type Piece struct {
	What  string // names it for people; empty for words of our own
	Text  string
	Label mgx.Label
	Data  bool // put between marks: it is to be read and not to be followed
}

// shown is the text as a model is given it. Nothing in it is hidden from people who
// look: of data, such as a diff, what hides or acts is made visible, from words it is
// taken out. A tag character in an issue that somebody passes on says nothing then.
func (p Piece) shown() string {
	switch {
	case p.What == "":
		return p.Text
	case p.Data:
		return guard.VisibleLines(p.Text)
	}
	return guard.Clean(p.Text)
}

func own(text string) Piece { return Piece{Text: text} }

// together makes one part of a message from pieces, which carries their join.
func (c *Conversation) together(pieces []Piece) llm.Part {
	var text strings.Builder
	var label mgx.Label
	for _, p := range pieces {
		shown := p.shown()
		if p.Data {
			shown = c.spec.Marks.Mark(shown)
		}
		text.WriteString(shown)
		label = label.Join(p.Label)
	}
	return llm.Part{Text: text.String(), Label: &label}
}

// unlabelled is what a text without a label counts as.
var unlabelled = mgx.Label{Untrusted: true, Secrecy: mgx.Private}

// Label is the join of everything that was ever in the conversation, and so the
// label of whatever the agent says or hands over.
func (c *Conversation) Label() mgx.Label { return c.label }

// labelOf joins what a request gives to the model to what the conversation held
// before: a text that was compacted away has had its influence.
func (c *Conversation) labelOf(messages []llm.Message) mgx.Label {
	for _, m := range messages {
		for _, p := range m.Parts {
			if p.Label == nil {
				p.Label = &unlabelled
			}
			c.label = c.label.Join(*p.Label)
		}
	}
	return c.label
}

// labelled gives the label of the context to what a model made of it.
func labelled(m llm.Message, label mgx.Label) llm.Message {
	m.Parts = slices.Clone(m.Parts)
	for i := range m.Parts {
		m.Parts[i].Label = &label
	}
	return m
}

// resultLabel is the label of a call's result. What the loop answers itself
// repeats at most the model's own words.
func (c *Conversation) resultLabel(p *planned) *mgx.Label {
	if p.answer != nil && p.denied == "" {
		return new(c.label)
	}
	return p.out.Label
}

// marked puts the results that are not to be trusted between marks. The history
// has them without, so that whatever looks at results sees what came back.
func (c *Conversation) marked(history []llm.Message) []llm.Message {
	out := slices.Clone(history)
	for i, m := range out {
		if m.Role != llm.Tool {
			continue
		}
		out[i].Parts = slices.Clone(m.Parts)
		for j, p := range m.Parts {
			if p.Result == nil || p.Label != nil && !p.Label.Untrusted {
				continue
			}
			r := *p.Result
			r.Text = c.spec.Marks.Mark(r.Text)
			out[i].Parts[j].Result = &r
		}
	}
	return out
}
