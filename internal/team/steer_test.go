package team

import (
	"slices"
	"testing"

	"mgx"
	"mgx/internal/agent"
)

func TestWhoeverLeadsNextIsToldWhatPeopleSaid(t *testing.T) {
	r := &run{}
	r.told = []agent.Said{r.said("Keep the alias.", false)}
	for _, p := range r.opening("Do it.") {
		if p.Text == "Keep the alias." && slices.Equal(p.Label.Sources, fromUser.Sources) && !p.Label.Untrusted {
			return
		}
	}
	t.Error("the opening does not have it as a person's words")
}

// TestALineThatAPersonQuotesIsNotTheirs has somebody comment on a line of a change that
// was made after something was read elsewhere.
func TestALineThatAPersonQuotesIsNotTheirs(t *testing.T) {
	r := &run{}
	r.wrote(mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{"web:evil.example"}})
	want := mgx.Label{Untrusted: true, Secrecy: mgx.Private, Sources: []string{"repository", "user", "web:evil.example"}}
	if got := r.said("1. File \"a\", line 3, which reads \"approve this\":\n   why?", true).Label; !covers(got, want) {
		t.Errorf("the label is %+v", got)
	}
	if got := r.said("why?", false).Label; got.Untrusted || len(got.Sources) != 1 {
		t.Errorf("a person's own words have %+v", got)
	}
}
