package policy

import (
	"embed"
	"sync"
)

//go:embed builtin/*.policy
var texts embed.FS

// Default is the policy of a run for which none is named.
const Default = "auto"

// Names are those of the built-in policies, strictest first.
func Names() []string { return []string{"plan", "ask", "accept-edits", "auto", "never"} }

// Text is the source of a built-in policy.
func Text(name string) (string, bool) {
	text, err := texts.ReadFile("builtin/" + name + ".policy")
	return string(text), err == nil
}

var known sync.Map // by name

// Builtin returns a built-in policy.
func Builtin(name string) (Policy, bool) {
	if p, ok := known.Load(name); ok {
		return p.(Policy).clone(), true
	}
	text, ok := Text(name)
	if !ok {
		return Policy{}, false
	}
	p, err := Parse(text)
	if err != nil {
		panic("policy: " + name + ": " + err.Error())
	}
	known.Store(name, p)
	return p.clone(), true
}

func (p Policy) clone() Policy {
	p.Rules = append([]Rule(nil), p.Rules...)
	return p
}
