package event

import "mgx"

// Live is what somebody who watches may like to see and nobody needs: pieces of
// what a model says while it says it, and output of programs while they run. It
// is no event: not stored, without a position, delivered at most once, and only
// while the watcher keeps up.
type Live struct {
	Workspace mgx.WorkspaceID `json:"workspace_id"`
	Task      mgx.TaskID      `json:"task_id,omitempty"`
	Run       mgx.RunID       `json:"run_id"`
	Agent     string          `json:"agent,omitempty"` // its role
	Text      string          `json:"text,omitempty"`  // of the model
	Again     bool            `json:"again,omitempty"` // the model starts over: what it said in this turn is void
	Tool      string          `json:"tool,omitempty"`  // output of a program
}

// maxLive is the longest text of one frame, in bytes; the rest is left out.
const maxLive = 16 << 10

// Live shows a frame to those who asked for it and keep up. It never waits.
func (h *Hub) Live(l Live) {
	l.Text, l.Tool = clipLive(l.Text), clipLive(l.Tool)
	e := mgx.Event{Workspace: l.Workspace, Task: l.Task, Run: l.Run}
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.subs {
		if s.live && s.filter.inChannel(&e) {
			s.show(l)
		}
	}
}

func clipLive(s string) string {
	if len(s) <= maxLive {
		return s
	}
	return s[len(s)-maxLive:]
}

func (s *Subscription) show(l Live) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return
	}
	if !s.attached || len(s.frames) >= s.hub.o.LiveFrames {
		s.missed++
		s.hub.counts.liveDropped.Add(1)
		return
	}
	s.frames = append(s.frames, Delivery{Kind: DeliverLive, Live: l, Missed: s.missed})
	s.missed = 0
	s.signal()
}

// drainLive takes the live frames; the caller holds mu.
func (s *Subscription) drainLive() {
	s.hub.counts.liveSent.Add(int64(len(s.frames)))
	s.out, s.frames = append(s.out, s.frames...), nil
}
