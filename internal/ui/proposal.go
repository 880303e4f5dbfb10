package ui

import (
	"strings"

	"mgx"
	"mgx/internal/guard"
)

// Proposal is a tool call as a person must see it to decide on it: what exactly it
// is, what it touches, why it is asked about, and what its agent had read.
func Proposal(c mgx.ProposedCall) string {
	var b strings.Builder
	for _, l := range proposal(c) {
		b.WriteString("  " + pad(l[0], 10) + "  " + Text(guard.VisibleLines(l[1])) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func proposal(c mgx.ProposedCall) (lines [][2]string) {
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, [2]string{name, value})
		}
	}
	add("call", c.Tool+", effect "+c.Effect)
	add("by", c.AgentRole)
	add("arguments", c.Arguments)
	add("digest", c.Digest)
	add("touches", strings.Join(c.Paths, ", "))
	add("reaches", strings.Join(c.Hosts, ", "))
	add("asked for", c.Why)
	add("rule", c.Rule)
	if l := c.Label; l != nil {
		add("has read", readBy(*l))
	}
	return lines
}

// readBy says in words what an agent was given.
func readBy(l mgx.Label) string {
	var what []string
	if l.Untrusted {
		what = append(what, "untrusted content")
	}
	if l.Secrecy != mgx.Public {
		what = append(what, string(l.Secrecy)+" content")
	}
	if len(l.Sources) > 0 {
		what = append(what, "from "+strings.Join(l.Sources, ", "))
	}
	return strings.Join(what, ", ")
}
