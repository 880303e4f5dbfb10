package app

import (
	"encoding/json"
	"strings"

	"mgx"
	"mgx/internal/guard/policy"
)

// BuiltInPolicy is a permission policy that MGX brings along.
type BuiltInPolicy struct {
	Name  string `json:"name" doc:"By which runs are started with it"`
	About string `json:"about" doc:"What it is for, in a sentence"`
	Text  string `json:"text" doc:"As it is written, with comments"`
	Rules string `json:"rules" doc:"As MGX reads it: a rule a line"`
	Hash  string `json:"hash" doc:"Of its rules"`
}

// Policies lists the built-in permission policies.
func Policies() []BuiltInPolicy {
	var all []BuiltInPolicy
	for _, name := range policy.Names() {
		if p, err := Policy(name); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// Policy returns a built-in policy by its name (CodeNotFound).
func Policy(name string) (BuiltInPolicy, error) {
	p, ok := policy.Builtin(name)
	if !ok {
		return BuiltInPolicy{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no policy %q; there are %s", name, strings.Join(policy.Names(), ", "))
	}
	text, _ := policy.Text(name)
	return BuiltInPolicy{Name: name, About: summary(text), Text: text, Rules: p.String(), Hash: p.Hash()}, nil
}

// summary is what the comment on top of a policy says, without its name.
func summary(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(comment))
	}
	_, about, _ := strings.Cut(strings.Join(words, " "), ": ")
	return about
}

// Call is a call that nobody makes.
type Call struct {
	Tool      string
	Effect    string // may be empty for built-in tools
	Role      string
	Paths     []string
	Command   string
	Hosts     []string
	Label     mgx.Label
	Outside   bool
	Vague     bool
	PlanOpen  bool
	Own       bool
	Arguments json.RawMessage // of a built-in tool: what it touches follows from them
}

// Verdict is what a policy makes of a call.
type Verdict struct {
	Verdict    string `json:"verdict"` // allow, ask, deny
	Rule       string `json:"rule"`    // that decided, as it is printed; or what stands in its place
	Why        string `json:"why"`
	Unanswered bool   `json:"unanswered,omitempty"` // it would have been asked, and the policy asks nobody
}

// Taken says how a run takes the arguments of a call.
type Taken struct {
	Repaired bool
	Refused  string // why it can only refuse the call; empty: it need not
}

// Trial tries policies on calls.
type Trial struct {
	// Facts adds what is known of a built-in tool to what is said of a call, from its
	// arguments as a run takes them.
	Facts func(f policy.Facts, arguments json.RawMessage) (policy.Facts, Taken)
	// Beyond are those of the hosts of a call that a run may not reach anyway; nil: all.
	Beyond func(allowed, hosts []string) ([]string, error)
}

// Try says what a policy makes of a call: a built-in one by its name, or the text
// of one.
func (t Trial) Try(name, text string, c Call) (Verdict, error) {
	rules, err := rulesOf(name, text)
	if err != nil {
		return Verdict{}, err
	}
	if err := newEffort(rules).take(c); err != nil {
		return Verdict{}, err
	}
	f, args, err := t.facts(c)
	if err != nil {
		return Verdict{}, mgx.Errorf(mgx.KindUsage, "bad_trial", "%s", mgx.AsError(err).Message)
	}
	d := decide(rules, f, args)
	return Verdict{string(d.Verdict), d.Rule, d.Why, d.Unanswered}, nil
}
