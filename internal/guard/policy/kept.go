package policy

import (
	"slices"
	"strings"
)

// Kept is a part of the workspace that a rule keeps from programs.
type Kept struct {
	Path  string // glob
	Write bool   // from being written only; else from being seen at all
	Rule  string
}

// fileTools are the tools that reach files, with what they do to them.
var fileTools = map[string]Effect{
	"list": Read, "glob": Read, "grep": Read, "read": Read, "edit": Write, "write": Write, "apply_patch": Write, "shell": Execute,
}

// Kept lists what programs that a call runs must not see, or not write: whatever
// the rules deny to the tools for files, or ask about, since a program cannot be
// asked while it runs. What an allow rule leaves out is not in it, nor what a rule
// with commands or hosts says: those are about calls, not files.
func (p Policy) Kept(f Facts) []Kept {
	c := p.newCall(f)
	var kept []Kept
	for _, r := range p.Rules {
		if !r.keeps() {
			continue
		}
		anyTool := r
		anyTool.Tools, anyTool.Roles = nil, nil
		write, reads := r.reaches()
		if !anyTool.concerns(c) || !write && !reads {
			continue
		}
		for _, glob := range slices.Concat(r.Paths, r.led) {
			kept = append(kept, Kept{Path: glob, Write: !reads, Rule: r.String()})
		}
	}
	return kept
}

// Hides reports whether there could be a call whose programs must not see some
// path: what lives longer than one call must see none that any could be kept from.
func (p Policy) Hides() bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool {
		_, reads := r.reaches()
		return r.keeps() && reads
	})
}

// keeps reports whether a rule is about files, and not about calls.
func (r Rule) keeps() bool {
	return r.Verdict != Allow && len(r.Paths) > 0 && len(r.Commands) == 0 && len(r.Hosts) == 0
}

// Follow is the policy for a workspace with links: a rule that denies or asks about
// a path means also what its parts before the first wildcard lead to. Resolve
// follows the links of a path, which is the same where there are none.
func (p Policy) Follow(resolve func(path string) string) Policy {
	p.Rules = slices.Clone(p.Rules)
	for i, r := range p.Rules {
		if r.Verdict == Allow {
			continue
		}
		for _, glob := range r.Paths {
			head, rest := literal(clean(glob))
			if head == "" || strings.HasPrefix(head, "/") {
				continue // beside the workspace
			}
			if to := resolve(head); to != head {
				p.Rules[i].led = append(p.Rules[i].led, clean(to+"/"+rest))
			}
		}
	}
	return p
}

// literal parts a glob before its first part with a wildcard.
func literal(glob string) (head, rest string) {
	parts := strings.Split(glob, "/")
	n := slices.IndexFunc(parts, func(part string) bool { return strings.ContainsAny(part, "*?") })
	if n < 0 {
		return glob, ""
	}
	return strings.Join(parts[:n], "/"), strings.Join(parts[n:], "/")
}

// reaches says what a rule is about, of what is done to files.
func (r Rule) reaches() (writes, reads bool) {
	for name, effect := range fileTools {
		if len(r.Tools) > 0 && !anyGlob(r.Tools, name) || len(r.Effects) > 0 && !slices.Contains(r.Effects, effect) {
			continue
		}
		if effect == Write {
			writes = true
		} else {
			reads = true
		}
	}
	return writes, reads
}

// Matches reports whether a path of the workspace is kept.
func (k Kept) Matches(path string) bool { return pathGlob(k.Path, clean(path)) }

// Literal is the path itself, when the glob stands for one only.
func (k Kept) Literal() (path string, ok bool) {
	for _, r := range k.Path {
		if r == '*' || r == '?' {
			return "", false
		}
	}
	return k.Path, true
}
