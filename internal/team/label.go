package team

import (
	"mgx"
	"mgx/internal/agent"
	"mgx/internal/tool"
	"mgx/internal/workflow"
)

// The labels of what agents are given. All of it is known from the input and the
// journal, so a replay arrives at the same.
var (
	fromUser       = mgx.Label{Sources: []string{mgx.SourceUser}}
	fromRepository = mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{mgx.SourceRepository}}
	fromProgram    = mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{mgx.SourceProgram}}
)

// labelOf is the label of a tool's results. Tools that only touch files tell what
// is in the repository; whatever else is not known to be so is a program's word.
func labelOf(s tool.Spec) mgx.Label {
	switch {
	case s.Source != "":
		return mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{s.Source}}
	case s.Effect == tool.Read || s.Effect == tool.Write:
		return fromRepository
	}
	return fromProgram
}

// saw notes the label of what a conversation's model is about to be given.
func (r *run) saw(conversation string, label mgx.Label) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.labels == nil {
		r.labels = map[string]mgx.Label{}
	}
	r.labels[conversation] = r.labels[conversation].Join(label)
}

// label is that of everything a conversation's model had been given when it made
// the calls that are being done now. A conversation that nobody knows had the
// worst.
func (h host) label(conversation string) mgx.Label {
	h.r.mu.Lock()
	defer h.r.mu.Unlock()
	if l, ok := h.r.labels[conversation]; ok {
		return l
	}
	return mgx.Label{Untrusted: true, Secrecy: mgx.Secret}
}

// words are our own.
func words(text string) agent.Piece { return agent.Piece{Text: text} }

// briefed records what an agent is given besides our own words.
func (r *run) briefed(step, conversation, role string, pieces []agent.Piece) error {
	if r.prep.Secret == "" {
		return nil // the journal is from before this was recorded
	}
	d := mgx.AgentBriefedData{AgentRole: role, Conversation: conversation}
	for _, p := range pieces {
		if p.What != "" {
			d.Items = append(d.Items, mgx.ContextItem{What: p.What, Bytes: len(p.Text), Label: p.Label})
		}
	}
	e := r.c.Scope().Event(mgx.AgentBriefed, d)
	e.Agent = agentID(conversation)
	return workflow.Record(r.c, step, e)
}

// tell says something to the author, and records that.
func (w *work) tell(step string, pieces ...agent.Piece) error {
	w.author.Say(pieces...)
	return w.briefed(step, "implementer", "implementer", pieces)
}
