package team

import (
	"fmt"

	"mgx/internal/agent"
	"mgx/internal/workflow"
)

// Signals by which people reach into a run that is under way.
const (
	MessageSignal  = "message"  // with a Message
	PauseSignal    = "pause"    // the run stands still before its next turn or call
	ContinueSignal = "continue" // and goes on; each answers one pause
)

// Message is what a person says to a run.
type Message struct {
	Text   string `json:"text"`
	By     string `json:"by"`
	Quotes bool   `json:"quotes,omitempty"` // lines of the change
}

const mostHeard = 20 // messages before one turn; more come before the next

// Heard takes what people have said to the run. The agent that leads hears it, not
// those that look around beside each other for it; whoever leads after it is told
// with the task.
func (h host) Heard(turn string) ([]agent.Said, error) {
	if h.branch != nil {
		return nil, nil
	}
	if err := h.hold(turn); err != nil {
		return nil, err
	}
	var all []agent.Said
	for n := 1; n <= mostHeard; n++ {
		m, ok, err := workflow.Poll[Message](h.c, fmt.Sprintf("%s/heard-%d", turn, n), MessageSignal, turn)
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		all = append(all, h.r.said(m.Text, m.Quotes))
	}
	h.r.told = append(h.r.told, all...)
	return all, nil
}

// said are a person's words. Lines of the change that stand in them stay what they
// are: whoever wrote the change, and what that had read, chose them.
func (r *run) said(words string, quotes bool) agent.Said {
	s := agent.Said{Text: words, Label: fromUser}
	if quotes {
		s.Label = s.Label.Join(fromRepository).Join(r.inFiles())
	}
	return s
}

// hold waits before a step while a person wants the run to stand still. Agents that
// are at work beside each other come to their end first.
func (h host) hold(step string) error {
	if h.branch != nil {
		return nil
	}
	for n := 1; ; n++ {
		_, paused, err := workflow.Poll[struct{}](h.c, fmt.Sprintf("%s/pause-%d", step, n), PauseSignal, step)
		if err != nil || !paused {
			return err
		}
		if _, err := workflow.Await[struct{}](h.c, ContinueSignal, 0); err != nil {
			return err
		}
	}
}

// heard are the pieces of an opening that hand on what people have said so far.
func (r *run) heard() (all []agent.Piece) {
	for _, said := range r.told {
		all = append(all, said.Pieces()...)
	}
	return all
}
