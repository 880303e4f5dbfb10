package agent

import (
	"fmt"
	"strings"

	"mgx"
)

// PlanText writes a plan for a model to read.
func PlanText(p mgx.Plan) string {
	var b strings.Builder
	if p.Goal != "" {
		fmt.Fprintf(&b, "Goal: %s\n", p.Goal)
	}
	for i, s := range p.Steps {
		fmt.Fprintf(&b, "%d. [%s] %s\n", i+1, s.Status, s.Text)
	}
	section(&b, "Files", p.Files)
	section(&b, "Risks", p.Risks)
	section(&b, "How to check", p.Verify)
	return b.String()
}

func section(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(b, "%s:\n", title)
	for _, s := range items {
		fmt.Fprintf(b, "- %s\n", s)
	}
}

// OpenSteps are the texts of the steps neither done nor dropped.
func OpenSteps(p *mgx.Plan) []string {
	if p == nil {
		return nil
	}
	var open []string
	for _, s := range p.Steps {
		if s.Status != "done" && s.Status != "dropped" {
			open = append(open, s.Text)
		}
	}
	return open
}
