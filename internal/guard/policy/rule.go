package policy

import (
	"slices"
	"strings"

	"mgx"
)

// Rule is one line: a verdict, and conditions that must all hold. A condition
// without values holds always.
type Rule struct {
	Verdict         Verdict
	Effects         []Effect
	Tools           []string // globs
	Roles           []string // globs
	Paths           []string // globs; each stands for what lies below it too
	Commands        []string // words, * for one word or, at the end, for any number
	Hosts           []string // globs of HOST:PORT, or of HOST for any port
	Provenance      []string // untrusted, or sources
	Confidentiality mgx.Confidentiality
	Plan            string // open, approved
	Because         string

	led []string // globs too: where links lead Paths; see Policy.Follow
}

const (
	planOpen     = "open"
	planApproved = "approved"
	untrusted    = "untrusted"
)

// match is how far something is what a rule means.
type match int

const (
	no match = iota
	maybe
	yes
)

func matched(is bool) match {
	if is {
		return yes
	}
	return no
}

// forbids reports whether a deny or ask rule means the call: one of the things it
// does is enough.
func (r Rule) forbids(c call) match {
	if r.keepsUnread(c) {
		r.Tools, r.Effects = nil, nil
	}
	m := matched(r.concerns(c))
	for _, cond := range []func(call) match{r.forbidsEffect, r.forbidsPath, r.forbidsCommand, r.forbidsHost} {
		if m == no {
			return no
		}
		m = min(m, cond(c))
	}
	return m
}

// keepsUnread reports whether a call would change a file where a rule is about reading it:
// an edit shows what stands around it, and a change what stood there.
func (r Rule) keepsUnread(c call) bool {
	return fileTools[c.Tool] == Write && r.keeps() && (len(r.Effects) == 0 || slices.Contains(r.Effects, Read)) &&
		(len(r.Tools) == 0 || anyGlob(r.Tools, "read") || anyGlob(r.Tools, "grep"))
}

// concerns holds the conditions on what there is one of in a call.
func (r Rule) concerns(c call) bool {
	return (len(r.Tools) == 0 || anyGlob(r.Tools, c.Tool)) &&
		(len(r.Roles) == 0 || anyGlob(r.Roles, c.Role)) &&
		(r.Plan == "" || c.PlanOpen == (r.Plan == planOpen)) &&
		r.seenIn(c.Label)
}

// seenIn holds the conditions on what the model was given. A forbidding rule
// needs one of its sources and begins at its confidentiality; an allowing one
// covers all sources and ends there.
func (r Rule) seenIn(l mgx.Label) bool {
	if r.Verdict != Allow {
		return (len(r.Provenance) == 0 || slices.ContainsFunc(r.Provenance, func(p string) bool { return from(p, l) })) &&
			(r.Confidentiality == "" || stricter(l.Secrecy, r.Confidentiality))
	}
	return (len(r.Provenance) == 0 || coveredBy(r.Provenance, l)) &&
		(r.Confidentiality == "" || stricter(r.Confidentiality, l.Secrecy))
}

// from reports whether a text with this label has something of a provenance. A
// source whose name was not kept may be any of its kind.
func from(provenance string, l mgx.Label) bool {
	if provenance == untrusted {
		return l.Untrusted
	}
	kind, _, _ := strings.Cut(provenance, ":")
	return slices.ContainsFunc(l.Sources, func(s string) bool {
		of, name, _ := strings.Cut(s, ":")
		return sameSource(s, provenance) || of == kind && (kind == provenance || name == "")
	})
}

// sameSource compares a source with one of a rule, in which a host may be written in
// another way.
func sameSource(s, provenance string) bool {
	if strings.HasPrefix(s, mgx.SourceWeb+":") {
		provenance = strings.TrimSuffix(strings.ToLower(provenance), ".")
	}
	return s == provenance
}

// coveredBy reports whether all of a label's sources are among those listed.
func coveredBy(provenance []string, l mgx.Label) bool {
	if slices.Contains(provenance, untrusted) {
		return l.Untrusted
	}
	for _, s := range l.Sources {
		kind, _, _ := strings.Cut(s, ":")
		if !slices.ContainsFunc(provenance, func(p string) bool { return sameSource(s, p) }) && !slices.Contains(provenance, kind) {
			return false
		}
	}
	return !l.Untrusted || len(l.Sources) > 0
}

// stricter reports whether a is as confidential as b. One that is not known is
// the strictest of all.
func stricter(a, b mgx.Confidentiality) bool { return secrecy(a) >= secrecy(b) }

func secrecy(c mgx.Confidentiality) int {
	if i := slices.Index([]mgx.Confidentiality{mgx.Public, mgx.Private, mgx.Secret}, c); i >= 0 {
		return i
	}
	return 3
}

func (r Rule) forbidsEffect(c call) match {
	return matched(len(r.Effects) == 0 || slices.ContainsFunc(c.effects, func(e Effect) bool { return slices.Contains(r.Effects, e) }))
}

func (r Rule) forbidsPath(c call) match {
	switch {
	case len(r.Paths) == 0 || slices.ContainsFunc(c.Paths, r.hasPath):
		return yes
	case c.Vague:
		return maybe
	}
	return no
}

func (r Rule) forbidsHost(c call) match {
	switch {
	case len(r.Hosts) == 0 || slices.ContainsFunc(c.Hosts, r.hasHost):
		return yes
	case c.Vague, slices.ContainsFunc(c.Hosts, r.mayHaveHost):
		return maybe
	}
	return no
}

func (r Rule) forbidsCommand(c call) match {
	if len(r.Commands) == 0 {
		return yes
	}
	if c.Command == "" {
		return no
	}
	m := no
	if c.shape.Unknown != "" {
		m = maybe
	}
	for _, pattern := range r.Commands {
		for _, cmd := range c.shape.Commands {
			m = max(m, cmd.mayBe(pattern))
		}
		for _, words := range c.shape.heard {
			if spelt(words, strings.Fields(pattern)) {
				m = max(m, maybe)
			}
		}
	}
	return m
}

// covers reports whether an allow rule allows one thing that a call does. That a
// command reaches hosts takes a rule which speaks of the network: one that was
// written for commands without it allows no more than it did.
func (r Rule) covers(c call, a atom) bool {
	return r.concerns(c) &&
		(a.effect != Network || !c.asksHosts() || len(r.Hosts) > 0 || slices.Contains(r.Effects, Network)) &&
		(len(r.Effects) == 0 || slices.Contains(r.Effects, a.effect)) &&
		(len(r.Paths) == 0 || a.path != "" && !c.Vague && r.hasPath(a.path)) &&
		(len(r.Hosts) == 0 || a.host != "" && !c.Vague && r.hasHost(a.host)) &&
		(len(r.Commands) == 0 || a.command != nil && c.shape.Unknown == "" &&
			slices.ContainsFunc(r.Commands, a.command.is))
}

func (r Rule) hasPath(p string) bool {
	p = clean(p)
	has := func(glob string) bool { return pathGlob(glob, p) }
	return slices.ContainsFunc(r.Paths, has) || slices.ContainsFunc(r.led, has)
}

func (r Rule) hasHost(host string) bool {
	return slices.ContainsFunc(r.Hosts, func(glob string) bool { return hostGlob(glob, host) })
}

func (r Rule) mayHaveHost(host string) bool {
	return slices.ContainsFunc(r.Hosts, func(glob string) bool { return mayHostGlob(glob, host) })
}

// why is the rule's own reason, or a sentence in its place.
func (r Rule) why(c call) string {
	if r.Because != "" {
		return r.Because
	}
	return map[Verdict]string{Allow: "a rule allows ", Ask: "a rule asks about ", Deny: "a rule denies "}[r.Verdict] + c.what()
}
