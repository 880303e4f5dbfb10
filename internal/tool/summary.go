package tool

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"mgx"
)

const maxSummary = 120 // characters

// Summary says in at most 120 characters, for people, what a call is about: the
// one argument that matters. It takes any arguments, also invalid ones.
func Summary(name string, args json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(args, &fields) != nil {
		return ""
	}
	s := strings.Join(strings.Fields(Clean(gist(name, fields))), " ")
	if utf8.RuneCountInString(s) <= maxSummary {
		return s
	}
	return string([]rune(s)[:maxSummary-1]) + "…"
}

func gist(name string, fields map[string]json.RawMessage) string {
	text := func(field string) string {
		var s string
		_ = json.Unmarshal(fields[field], &s) // not a string: nothing to show
		return s
	}
	switch name {
	case "list":
		return or(text("path"), ".")
	case "glob", "grep":
		if p := text("path"); p != "" && p != "." {
			return text("pattern") + " in " + p
		}
		return text("pattern")
	case "read", "edit", "write":
		return text("path")
	case "apply_patch":
		return patchedFiles(text("patch"))
	case "shell":
		return text("command")
	case NoteName:
		return text("text")
	case UpdatePlanName:
		return planGist(fields["steps"])
	case AskName:
		return askGist(fields["questions"])
	}
	return firstText(fields, text)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func patchedFiles(patch string) string {
	changes, err := parsePatch(patch)
	if err != nil {
		return "a patch that cannot be read"
	}
	var names []string
	for _, c := range changes {
		names = append(names, quoted(c.path))
	}
	return strings.Join(names, ", ")
}

func planGist(raw json.RawMessage) string {
	var steps []mgx.PlanStep
	if json.Unmarshal(raw, &steps) != nil {
		return ""
	}
	done, doing := 0, ""
	for _, s := range steps {
		switch s.Status {
		case "done", "dropped":
			done++
		case "doing":
			doing = ": " + s.Text
		}
	}
	return fmt.Sprintf("%d of %d%s", done, len(steps), doing)
}

func askGist(raw json.RawMessage) string {
	var questions []Question
	if json.Unmarshal(raw, &questions) != nil || len(questions) == 0 {
		return ""
	}
	return questions[0].Text
}

// firstText is the first text among the fields, by name, for tools not known here.
func firstText(fields map[string]json.RawMessage, text func(string) string) string {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if s := text(name); s != "" {
			return s
		}
	}
	return ""
}
