package app

import (
	"encoding/json"
	"strings"

	"mgx"
	"mgx/internal/guard/policy"
)

// PolicyInfo is a permission policy that MGX brings along.
type PolicyInfo struct {
	Name  string `json:"name"`
	About string `json:"about"`
	Text  string `json:"text"`
	Hash  string `json:"hash"`
}

// Policies lists the built-in permission policies.
func Policies() []PolicyInfo {
	var all []PolicyInfo
	for _, name := range policy.Names() {
		if p, err := Policy(name); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// Policy returns a built-in policy by its name (CodeNotFound).
func Policy(name string) (PolicyInfo, error) {
	p, ok := policy.Builtin(name)
	if !ok {
		return PolicyInfo{}, mgx.Errorf(mgx.KindUsage, mgx.CodeNotFound, "there is no policy %q; there are %s", name, strings.Join(policy.Names(), ", "))
	}
	text, _ := policy.Text(name)
	return PolicyInfo{Name: name, About: summary(text), Text: text, Hash: p.Hash()}, nil
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

// Trial tries a policy on calls that nobody makes.
type Trial struct {
	// Facts adds what is known of a built-in tool to what is said of a call, from its
	// arguments, and why such a call can only be refused; empty: it need not be.
	Facts func(f policy.Facts, arguments json.RawMessage) (facts policy.Facts, refused string)
}

// Try says what a policy makes of a call: a built-in one by its name, or the text
// of one.
func (t Trial) Try(name, text string, f policy.Facts, arguments json.RawMessage) (policy.Decision, error) {
	switch {
	case (name == "") == (text == ""):
		return policy.Decision{}, mgx.Errorf(mgx.KindUsage, "bad_trial", "name a built-in policy, or send the text of one")
	case text == "":
		p, err := Policy(name)
		if err != nil {
			return policy.Decision{}, err
		}
		text = p.Text
	}
	rules, err := policy.Parse(text)
	if err != nil {
		return policy.Decision{}, err
	}
	refused := ""
	if t.Facts != nil {
		f, refused = t.Facts(f, arguments)
	}
	switch {
	case f.Effect == "":
		return policy.Decision{}, mgx.Errorf(mgx.KindUsage, "bad_trial", "say the effect of the call: read, write, execute, network or deliver; it may be left out for built-in tools only")
	case refused != "":
		return policy.Decision{Verdict: policy.Deny, Rule: "(arguments)", Why: refused}, nil
	}
	return rules.Decide(f), nil
}
