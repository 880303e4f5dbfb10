package team

import (
	"slices"
	"testing"
)

func TestWhoeverLeadsNextIsToldWhatPeopleSaid(t *testing.T) {
	r := &run{told: []string{"Keep the alias."}}
	for _, p := range r.opening("Do it.") {
		if p.Text == "Keep the alias." && slices.Equal(p.Label.Sources, fromUser.Sources) && !p.Label.Untrusted {
			return
		}
	}
	t.Error("the opening does not have it as a person's words")
}
