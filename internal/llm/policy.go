package llm

import (
	"cmp"
	"slices"
)

// Strategy orders the candidates of a policy.
type Strategy string

const (
	Cost            Strategy = "cost"             // least expected price of this very request first
	Latency         Strategy = "latency"          // least expected time to a whole answer first
	Quality         Strategy = "quality"          // highest Facts.Quality first
	LocalFirst      Strategy = "local_first"      // those on one's own machines, then the rest; each as balanced
	CapabilityMatch Strategy = "capability_match" // the least able that can do it: fewest surplus capabilities, smallest window, least price
	Balanced        Strategy = "balanced"         // 0.4 price, 0.3 time, 0.3 quality, each against the best of the candidates
	Ordered         Strategy = "ordered"          // as listed
)

// Strategies lists them all.
var Strategies = []Strategy{Cost, Latency, Quality, LocalFirst, CapabilityMatch, Balanced, Ordered}

// Capabilities of models that a request can need or a policy ask for.
const (
	CapTools    = "tools"    // calls tools
	CapJSON     = "json"     // keeps to a schema that is asked for
	CapVision   = "vision"   // sees pictures
	CapThinking = "thinking" // reasons before it answers
)

// Capabilities lists them all.
var Capabilities = []string{CapTools, CapJSON, CapVision, CapThinking}

// Policy says which models a call may go to, in which order. Candidates are
// ordered by the strategy; Fallback follows them as listed.
type Policy struct {
	Rule
	// Overrides apply to calls of a role or to tasks of a size: the first that
	// fits replaces those fields that it states.
	Overrides []Override `json:"overrides,omitempty"`
}

// Rule is what a policy says.
type Rule struct {
	Strategy   Strategy    `json:"strategy,omitempty"` // default balanced
	Candidates []Candidate `json:"candidates,omitempty"`
	Fallback   []string    `json:"fallback,omitempty"` // provider/model
	Require    Require     `json:"require,omitzero"`
}

// Candidate is a model that a policy may choose.
type Candidate struct {
	Model string `json:"model"` // provider/model
	// Weight, when any candidate has one, is this one's share of conversations:
	// each is drawn one of the candidates with a weight, which goes first, always
	// the same for the same conversation; the strategy orders the rest.
	Weight float64 `json:"weight,omitempty"`
}

// Require is what a model must be able to do, besides what the request itself
// needs.
type Require struct {
	Capabilities []string `json:"capabilities,omitempty"`
	Context      int      `json:"context,omitempty"` // tokens, at least
	Local        bool     `json:"local,omitempty"`   // on one's own machines
}

// Override is a rule for some calls of a policy.
type Override struct {
	Role string `json:"role,omitempty"` // of the agent; empty: any
	Size string `json:"size,omitempty"` // of the task, XS to XL; empty: any
	Rule
}

// rule is what the policy says about a request, and in words which override
// that was.
func (p Policy) rule(req *Request) (Rule, string) {
	r := p.Rule
	for _, o := range p.Overrides {
		if (o.Role != "" && o.Role != req.AgentRole) || (o.Size != "" && o.Size != req.TaskSize) {
			continue
		}
		if len(o.Candidates) > 0 {
			r.Candidates, r.Fallback = o.Candidates, nil
		}
		if len(o.Fallback) > 0 {
			r.Fallback = o.Fallback
		}
		r.Strategy = cmp.Or(o.Strategy, r.Strategy)
		r.Require.Capabilities = append(slices.Clone(r.Require.Capabilities), o.Require.Capabilities...)
		r.Require.Context = max(r.Require.Context, o.Require.Context)
		r.Require.Local = r.Require.Local || o.Require.Local
		return r, o.words()
	}
	return r, ""
}

func (o Override) words() string {
	switch {
	case o.Role == "" && o.Size == "":
		return "every call"
	case o.Size == "":
		return "role " + o.Role
	case o.Role == "":
		return "size " + o.Size
	}
	return "role " + o.Role + ", size " + o.Size
}

// models lists every model that the policy can choose.
func (p Policy) models() []string {
	var all []string
	add := func(r Rule) {
		for _, c := range r.Candidates {
			all = append(all, c.Model)
		}
		all = append(all, r.Fallback...)
	}
	add(p.Rule)
	for _, o := range p.Overrides {
		add(o.Rule)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
