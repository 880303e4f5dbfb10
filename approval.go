package mgx

// PolicyInfo is the permission policy of a run: the whole text that it was started
// with, so that nothing which changes later changes the run.
type PolicyInfo struct {
	Name string `json:"name"` // of the built-in policy or the file; for people
	Text string `json:"text"` // as package policy prints it
	Hash string `json:"hash"` // SHA-256 of the text
}

// ProposedCall is the tool call that an approval is asked for: what happens on yes.
type ProposedCall struct {
	CallID    string   `json:"call_id,omitempty"` // of the call in the log; empty: it is no agent's
	Tool      string   `json:"tool"`
	Effect    string   `json:"effect"`
	AgentRole string   `json:"agent_role"`
	Arguments string   `json:"arguments"`        // canonical JSON; cut when it is long
	Digest    string   `json:"arguments_digest"` // SHA-256 of the whole of it
	Paths     []string `json:"paths,omitempty"`  // what it would touch, links resolved
	Hosts     []string `json:"hosts,omitempty"`
	Rule      string   `json:"rule"` // of the policy, that asks
	Why       string   `json:"why"`
	Rest      string   `json:"rest"` // what "and the same for the rest of the run" would allow, in words
	Label     *Label   `json:"label,omitempty"`
}

// Approval is a decision asked for or made on one proposed effect.
type Approval struct {
	ID       string        `json:"id"`
	Effect   string        `json:"effect"`
	Hash     string        `json:"hash"`
	Call     *ProposedCall `json:"call,omitempty"` // nil: it is no tool call
	Decided  bool          `json:"decided"`
	Approved bool          `json:"approved"`
	Rest     bool          `json:"rest,omitempty"`    // with the same for the rest of the run
	Changes  bool          `json:"changes,omitempty"` // changes were requested instead
	By       string        `json:"by,omitempty"`
	Reason   string        `json:"reason,omitempty"`
}

// Pending are the decisions that a run waits for, oldest first.
func (r Run) Pending() []Approval {
	if r.Approval == nil || r.Approval.Decided || r.Status.Ended() {
		return nil
	}
	return append([]Approval{*r.Approval}, r.Further...)
}

// requested adds what is asked for to what is pending.
func (r *Run) requested(d ApprovalRequestedData) {
	asked := Approval{ID: d.ApprovalID, Effect: d.Effect, Hash: d.Hash, Call: d.Call}
	if r.Approval == nil || r.Approval.Decided || r.Approval.ID == asked.ID {
		r.Approval = &asked
		return
	}
	r.Further = append(r.further(asked.ID), asked)
}

// decided takes a decision off what is pending. The approval to look at is then
// the oldest that is left, or else this one.
func (r *Run) decided(d ApprovalDecidedData) {
	a := Approval{ID: d.ApprovalID}
	for _, p := range r.Pending() {
		if p.ID == a.ID {
			a = p
		}
	}
	a.Hash, a.Decided, a.Approved, a.Rest, a.Changes, a.By, a.Reason = d.Hash, true, d.Approved, d.Rest, d.Changes, d.By, d.Reason
	switch {
	case r.Approval == nil || r.Approval.Decided:
		r.Approval = &a
	case r.Approval.ID != a.ID:
		r.Further = r.further(a.ID)
	case len(r.Further) > 0:
		oldest := r.Further[0]
		r.Approval, r.Further = &oldest, r.further(oldest.ID)
	default:
		r.Approval = &a
	}
}

// further is a copy of what is pending besides the oldest, without one.
func (r *Run) further(id string) []Approval {
	var rest []Approval
	for _, a := range r.Further {
		if a.ID != id {
			rest = append(rest, a)
		}
	}
	return rest
}
