package team

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx/internal/agent"
	"mgx/internal/guard"
	"mgx/internal/llm"
)

// TestASecretIsNotCutInTwo puts a secret where the text of an event ends.
func TestASecretIsNotCutInTwo(t *testing.T) {
	t.Parallel()
	const secret = "sk-secret-0123456789"
	r := &run{hides: guard.NewRedactor(secret)}
	for before := 32<<10 - len(secret); before <= 32<<10; before++ {
		said := llm.Message{Role: llm.Assistant, Parts: []llm.Part{{Text: strings.Repeat("x", before) + secret + strings.Repeat("y", 40)}}}
		if got := r.message(&llm.Request{}, &llm.Response{Message: said}).Text; strings.Contains(got, "sk-") {
			t.Fatalf("%d bytes before: %q", before, got[before-10:])
		}
	}
}

// TestASecretIsNotCutInASummary puts a secret where the summary of a call ends.
func TestASecretIsNotCutInASummary(t *testing.T) {
	t.Parallel()
	const secret = "sk-secret-0123456789"
	for before := 90; before <= 120; before++ {
		args, err := json.Marshal(map[string]string{"command": strings.Repeat("x", before) + secret + strings.Repeat("y", 40)})
		if err != nil {
			t.Fatal(err)
		}
		got := summary(agent.Call{Name: "shell", Args: args}, guard.NewRedactor(secret))
		if strings.Contains(got, secret[:4]) || !strings.HasPrefix(got, "xxx") {
			t.Errorf("%d characters before: %q", before, got)
		}
	}
}
