package ui

import (
	"strings"
	"testing"

	"mgx"
)

// TestAProposalShowsWhatIsDecidedOn: nothing in a call can hide part of it or act on
// the terminal.
func TestAProposalShowsWhatIsDecidedOn(t *testing.T) {
	got := Proposal(mgx.ProposedCall{
		Tool: "mcp__forge__comment", Effect: "write", AgentRole: "implementer", Arguments: "{\"text\":\"a\x1b[2Kb\u202ec\"}", Digest: "sha256:1",
		Paths: []string{"a/b"}, Hosts: []string{"example.org:443"}, Rule: "ask effect network", Why: "it reaches out", Rest: "no more",
		Label: &mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{"web:evil.example"}},
	})
	for _, want := range []string{
		"mcp__forge__comment, effect write", "implementer", "sha256:1", "touches     a/b", "reaches     example.org:443", "ask effect network", "it reaches out",
		"untrusted content, private content, from web:evil.example",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("%q acts on the terminal", got)
	}
}
