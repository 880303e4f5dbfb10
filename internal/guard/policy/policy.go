package policy

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"mgx"
)

// Verdict is what becomes of a call.
type Verdict string

const (
	Allow Verdict = "allow"
	Ask   Verdict = "ask" // a person decides
	Deny  Verdict = "deny"
)

// Effect is the worst that a call can do.
type Effect string

const (
	Read    Effect = "read"
	Write   Effect = "write"
	Execute Effect = "execute"
	Network Effect = "network"
	Deliver Effect = "deliver"
)

var effects = []Effect{Read, Write, Execute, Network, Deliver}

// Policy is a set of rules. The zero Policy asks about everything.
type Policy struct {
	Rules []Rule
	// Unattended says that nobody is asked: what would be is denied.
	Unattended bool
}

// Facts are what is known of a call before it is made.
type Facts struct {
	Tool    string    `json:"tool"`
	Effect  Effect    `json:"effect"`
	Role    string    `json:"role,omitempty"`    // of the agent
	Paths   []string  `json:"paths,omitempty"`   // in the workspace: as written, and as links resolve them
	Command string    `json:"command,omitempty"` // a line of shell
	Hosts   []string  `json:"hosts,omitempty"`   // HOST:PORT beyond those that the run may reach anyway
	Label   mgx.Label `json:"label,omitzero"`    // of all that the model was given
	// Outside: it acts beyond the sandbox, or sends there what it is given, whatever
	// its effect is called.
	Outside bool `json:"outside,omitempty"`
	// Vague: which paths or hosts it touches is not known.
	Vague bool `json:"vague,omitempty"`
	// PlanOpen: the run's plan is not approved, or there is none.
	PlanOpen bool `json:"plan_open,omitempty"`
	// Own: it brings the run's own branch to the repository the run is for.
	Own bool `json:"own,omitempty"`
	// Sh: its command is run by sh, whichever shell that is, and not by bash.
	Sh bool `json:"-"`
	// Named: a person named the command for the run, and so has answered for it.
	Named bool `json:"-"`
}

// Decision is a verdict with its reason.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	Rule    string  `json:"rule"` // that decided, as it is printed; or what stands in its place
	Why     string  `json:"why"`  // a sentence for people and models
	// Unanswered: it would have been asked, and the policy asks nobody.
	Unanswered bool `json:"unanswered,omitempty"`
}

// What stands in the place of a rule.
const (
	noRule   = "(no rule)"
	named    = "(named by a person)"
	trifecta = "(untrusted and confidential content before an outward effect)"
)

// Decide says what becomes of a call.
func (p Policy) Decide(f Facts) Decision {
	d := p.decide(p.newCall(f))
	if d.Verdict == Ask && f.Named {
		return Decision{Verdict: Allow, Rule: named, Why: "a person named this command for the run"}
	}
	if d.Verdict == Ask && p.Unattended {
		d.Verdict, d.Unanswered = Deny, true
		d.Why += "; and this policy asks nobody"
	}
	return d
}

func (p Policy) decide(c call) Decision {
	if d, ok := p.strictest(c); ok {
		return d
	}
	rule, ok := p.allowing(c)
	switch {
	case !ok:
		return Decision{Verdict: Ask, Rule: noRule, Why: "no rule allows " + c.what()}
	case c.dangerous():
		return Decision{Verdict: Ask, Rule: trifecta, Why: "the agent has read untrusted content and confidential content, and " + c.what() + " reaches beyond the sandbox"}
	}
	return Decision{Verdict: Allow, Rule: rule.String(), Why: rule.why(c)}
}

// strictest finds the deny or ask rule that decides, if there is one. Of several
// the first by its text is named, so that the answer does not hang on their order.
func (p Policy) strictest(c call) (Decision, bool) {
	var found []Decision
	for _, r := range p.Rules {
		m := r.forbids(c)
		if r.Verdict == Allow || m == no {
			continue
		}
		d := Decision{Verdict: r.Verdict, Rule: r.String(), Why: r.why(c)}
		if m == maybe {
			d.Verdict, d.Why = Ask, fmt.Sprintf("it cannot be told whether %s is what this rule means", c.what())
		}
		found = append(found, d)
	}
	if len(found) == 0 {
		return Decision{}, false
	}
	return slices.MinFunc(found, func(a, b Decision) int {
		return cmp.Or(cmp.Compare(severity(b.Verdict), severity(a.Verdict)), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Why, b.Why))
	}), true
}

func severity(v Verdict) int { return slices.Index([]Verdict{Allow, Ask, Deny}, v) }

// allowing reports whether the allow rules cover the call together, and names one.
func (p Policy) allowing(c call) (Rule, bool) {
	var named *Rule
	for a, more := range c.atoms() {
		if !more {
			return Rule{}, false // too many to look at
		}
		covered := false
		for i := range p.Rules {
			r := &p.Rules[i]
			if r.Verdict != Allow || !r.covers(c, a) {
				continue
			}
			if covered = true; named == nil || r.String() < named.String() {
				named = r
			}
		}
		if !covered {
			return Rule{}, false
		}
	}
	if named == nil {
		return Rule{}, false
	}
	return *named, true
}

// Plans reports whether rules depend on the plan: then a run under this policy
// plans first.
func (p Policy) Plans() bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Plan != "" })
}

// Hash names the policy by its printed text.
func (p Policy) Hash() string { return digest([]byte(p.String())) }

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}
