package guard

import "strings"

// Suspect names the ways in which a text looks as if it were written to give
// orders to a model. It is a signal for people and never a reason to allow or to
// refuse: it misses most attacks that somebody took trouble with, and takes honest
// texts for attacks (docs/injection.md has the figures). Only the first 64 KB of
// a text are looked at.
func Suspect(text string) []string {
	text = text[:min(len(text), 64<<10)]
	lower := strings.ToLower(text)
	var found []string
	for _, r := range suspicions {
		if r.is(text, lower) {
			found = append(found, r.name)
		}
	}
	return found
}

// suspicion is one rule. It sees the text as it is and in lower case.
type suspicion struct {
	name string
	is   func(text, lower string) bool
}

var suspicions = []suspicion{
	{"overrides instructions", near(
		[]string{"ignore", "disregard", "forget", "override", "do not follow", "instead of"},
		[]string{"previous instruction", "prior instruction", "above instruction", "earlier instruction", "all instruction", "your instruction", "the instructions above", "previous prompt", "system prompt", "your rules", "previous direction", "everything above", "your guidelines"})},
	{"addresses a model", says("ai assistant", "ai agent", "dear assistant", "note to ai", "note for ai", "# ai:", "// ai:", "llm:", "language model:", "attention assistant", "coding agents must", "assistants must", "agents must")},
	{"poses as the system", says("<system>", "</system>", "[system]", "system message:", "new instructions:", "<|im_start|>", "[inst]", "<<sys>>", "end of data", "you are now", "developer mode")},
	{"asks for secrecy", says("do not tell the user", "don't tell the user", "without telling the user", "do not mention this", "don't mention this", "do not inform", "keep this secret from")},
	{"asks for secrets", near(
		[]string{"send", "post", "upload", "print", "paste", "copy", "include", "exfiltrate", "output", "read"},
		[]string{"api key", "api_key", "access token", "password", "credential", "private key", "id_rsa", "id_ed25519", ".env file", "environment variable", "~/.ssh", "~/.aws"})},
	{"asks for approval", says("approve this change", "verdict approve", "verdict: approve", "no findings needed", "must be approved", "skip the review")},
	{"asks to put code into the work", near(
		[]string{"add", "include", "embed", "insert", "ensure", "incorporate", "append", "weave", "integrate", "merge", "upgrade", "develop", "improve", "place", "make sure", "implement", "enhance"},
		[]string{"in your response", "into your response", "in your code", "into your code", "your code", "your program", "your solution", "your script", "your application", "your implementation", "your software", "your project"})},
	{"runs what it fetches", near([]string{"curl ", "wget "}, []string{"| sh", "|sh", "| bash", "|bash", "| sudo"})},
	{"sends data by an image", near([]string{"![", "<img"}, []string{"?q=", "?d=", "?data=", "&data=", "?c=", "{{", "$("})},
	{"hides characters", func(text, _ string) bool { return Hides(text) }},
}

func says(phrases ...string) func(string, string) bool {
	return func(_, lower string) bool {
		for _, p := range phrases {
			if strings.Contains(lower, p) {
				return true
			}
		}
		return false
	}
}

// near reports whether one of each kind stand within a sentence of each other, the
// first before the second.
func near(first, second []string) func(string, string) bool {
	const within = 100
	return func(_, lower string) bool {
		for _, b := range second {
			for from := 0; ; {
				i := strings.Index(lower[from:], b)
				if i < 0 {
					break
				}
				at := from + i
				before := lower[max(0, at-within):at]
				for _, a := range first {
					if strings.Contains(before, a) {
						return true
					}
				}
				from = at + len(b)
			}
		}
		return false
	}
}

// Hides reports whether a text has characters that hold or turn around words
// without being seen: tags, selectors by the dozen, bidi controls; as they are or
// as tools make them visible.
func Hides(text string) bool {
	selectors := 0
	for _, r := range text {
		switch {
		case r >= 0xe0000 && r <= 0xe007f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return true
		case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef:
			if selectors++; selectors > 8 {
				return true
			}
		default:
			selectors = 0
		}
	}
	for _, shown := range []string{"<U+E00", "<U+202", "<U+206"} {
		if strings.Contains(text, shown) {
			return true
		}
	}
	return false
}
