// Package app holds the use cases: what a person may do to tasks and runs,
// whichever way they ask. Each one checks what it is given, decides, and commits
// one change; none prints, prompts or waits longer than it says.
package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"mgx"
)

// jsonOf is what the audit log shows of something.
func jsonOf(v any) json.RawMessage {
	if v == nil {
		return nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		panic("app: what is shown is not JSON: " + err.Error())
	}
	return raw
}

func validate(s mgx.RunSettings) error {
	bad := func(code, format string, args ...any) error {
		return mgx.Errorf(mgx.KindUsage, code, format, args...)
	}
	switch {
	case s.Approve != "auto" && s.Approve != "ask" && s.Approve != "never":
		return bad("bad_approve", "--approve takes auto, ask or never, not %q", s.Approve)
	case !slices.Contains([]string{"auto", "docker", "gvisor", "off"}, s.Sandbox):
		return bad("bad_sandbox", "--sandbox takes auto, docker, gvisor or off, not %q", s.Sandbox)
	case s.MaxTurns < 1 || s.MaxTurns > 10_000:
		return bad("bad_max_turns", "--max-turns takes 1 to 10000, not %d", s.MaxTurns)
	case s.MaxTokens < 0:
		return bad("bad_max_tokens", "--max-tokens takes a positive number, not %d", s.MaxTokens)
	case s.Timeout < time.Second || s.Timeout > 30*24*time.Hour:
		return bad("bad_timeout", "--timeout takes 1s to 720h, not %s", s.Timeout)
	case s.Budget != nil && *s.Budget < 0:
		return bad("bad_budget", "--budget takes an amount of dollars, not %s", *s.Budget)
	case s.Model == "":
		return bad("no_model", "a run needs a model")
	}
	if err := validPolicy(s.Policy); err != nil {
		return err
	}
	for _, c := range s.Checks {
		if strings.TrimSpace(c) == "" {
			return bad("bad_check", "--check is empty; give a command, for example --check 'go test ./...'")
		}
	}
	return nil
}

// title is the first line of a task, at most 120 characters.
func title(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	if r := []rune(strings.TrimSpace(line)); len(r) > 120 {
		return fmt.Sprintf("%s…", string(r[:119]))
	}
	return strings.TrimSpace(line)
}
