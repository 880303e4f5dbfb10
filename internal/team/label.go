package team

import (
	"slices"
	"strings"

	"mgx"
	"mgx/internal/agent"
	"mgx/internal/sandbox"
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

// labelOf is the label of what a check printed. A record from before it held one does
// not say which hosts the check reached, so all that it could have reached count.
func (c checked) labelOf(r *run) mgx.Label {
	if c.Label != nil {
		return *c.Label
	}
	l := fromProgram.Join(r.inFiles()).Join(r.besides())
	if len(r.in.Settings.AllowHosts) > 0 {
		l = l.Join(mgx.Label{Sources: []string{mgx.SourceWeb}})
	}
	return l
}

// ran notes where what a check printed came from. Its files are put back, and caches that
// it filled are not: programs find there what hosts sent.
func (w *work) ran(c checked) {
	l := c.labelOf(w.run)
	w.printed = w.printed.Join(l)
	if c.Status == refused {
		return
	}
	l.Sources = slices.DeleteFunc(slices.Clone(l.Sources), func(s string) bool {
		kind, _, _ := strings.Cut(s, ":")
		return kind != mgx.SourceWeb
	})
	if len(l.Sources) > 0 {
		w.wrote(l)
	}
}

// withHosts adds the hosts that a command reached to the label of its output. One that
// was not told apart from others may be any.
func withHosts(l mgx.Label, visits []sandbox.Visit) mgx.Label {
	for _, v := range visits {
		if v.Allowed {
			l = l.Join(mgx.Label{Untrusted: true, Sources: []string{strings.TrimSuffix(mgx.SourceWeb+":"+v.Host, ":")}})
		}
	}
	return l
}

// labelIn is the label of an outcome; one that was recorded without is the worst
// that it can have been then.
func labelIn(out agent.Outcome) mgx.Label {
	if out.Label == nil {
		return mgx.Label{Untrusted: true, Secrecy: mgx.Private}
	}
	return *out.Label
}

// leaves reports whether a call may have left something that is read later: in the
// files, or in the kept outputs, which an agent that may change nothing fills as well.
func leaves(call agent.Call, out agent.Outcome) bool {
	if call.Tool == nil || out.Result.Status == tool.Denied && !labelIn(out).Untrusted {
		return false // nothing was called
	}
	spec := call.Tool.Spec()
	return spec.Effect != tool.Read || spec.Source != ""
}

// wrote notes what went into the files: what a call was told by, and what it got
// from elsewhere. Of that whatever is read from the files carries the rest, since
// it may be what was written.
func (r *run) wrote(labels ...mgx.Label) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range labels {
		l.Sources = elsewhere(l.Sources)
		r.files = r.files.Join(l)
	}
}

// elsewhere are the sources that a text read from a file does not show by itself.
func elsewhere(sources []string) []string {
	return slices.DeleteFunc(slices.Clone(sources), func(s string) bool {
		kind, _, _ := strings.Cut(s, ":")
		return !slices.Contains([]string{mgx.SourceWeb, mgx.SourceMCP, mgx.SourceAttachment}, kind)
	})
}

// inFiles is the label of what is in the files besides the repository's.
func (r *run) inFiles() mgx.Label {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files
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

// data is a text that agents read and do not follow.
func data(what, text string, label mgx.Label) agent.Piece {
	return agent.Piece{What: what, Text: text, Label: label, Data: true}
}

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
