package policy

import (
	"path"
	"slices"
	"strings"
)

// A pattern of a command is words with single spaces between. In a word, * stands
// for any characters; a * alone is one word, whatever it is, and as the last word
// any number of them, also none.

// is reports whether the command is for certain what a pattern allows: all of its
// words, with its assignments, and none of those that the pattern spells is left
// to be decided when it runs.
func (c *Command) is(pattern string) bool {
	want := strings.Fields(pattern)
	for i, w := range want {
		if w == "*" && i == len(want)-1 {
			return true
		}
		if i >= len(c.Words) || !c.Words[i].is(w) {
			return false
		}
		if c.Words[i].Dynamic {
			return false // it may be several words
		}
	}
	return len(want) == len(c.Words)
}

func (w Word) is(pattern string) bool {
	return pattern == "*" || !w.Dynamic && glob(pattern, w.Text)
}

// mayBe reports whether a pattern that forbids means the command: by itself, wherever
// its program lies, with and without assignments, and with options of git before its
// subcommand; by a variable that it sets; or because it runs what its words say. Where it may run something else and
// its words have those of the pattern, in their order, that cannot be told.
func (c *Command) mayBe(pattern string) match {
	want := strings.Fields(pattern)
	proper := c.Words[c.Bare:]
	m := max(mayStart(c.Words, want, c.Bare), mayStart(proper, want, 0))
	for _, w := range c.sets() {
		if len(want) == 1 {
			m = max(m, w.maySet(want[0]))
		}
	}
	if git, ok := asGit(proper); ok {
		sub, _ := gitCommand(git)
		m = max(m, mayStart(sub, want, 0))
	}
	for i := range c.said {
		if c.Wraps {
			m = max(m, mayStart(c.said[i:], want, 0))
		}
	}
	if spelt(c.said, want) {
		m = max(m, maybe)
	}
	return m
}

// sets are the words that set variables.
func (c *Command) sets() []Word {
	if c.Declares {
		return c.Words[1:]
	}
	return c.Words[:c.Bare]
}

// maySet is the match of a word that sets a variable against one of a pattern. Its name
// is known, also where its value is not.
func (w Word) maySet(pattern string) match {
	text := strings.Replace(w.Text, "+=", "=", 1)
	if !w.Dynamic {
		return matched(glob(pattern, w.Text) || glob(pattern, text))
	}
	name, _, _ := strings.Cut(text, "=")
	want, _, named := strings.Cut(pattern, "=")
	if named && glob(want, name) || !named && strings.Contains(pattern, "*") {
		return maybe
	}
	return no
}

// tokens are the words within words, whatever quotes and brackets are around them.
func tokens(words []Word) []Word {
	var out []Word
	for _, w := range words {
		for _, f := range strings.FieldsFunc(w.Text, func(r rune) bool { return r <= ' ' || strings.ContainsRune("\\\"'`;&|()<>[]{}=,$!", r) }) {
			out = append(out, Word{Text: f})
		}
		if w.Dynamic {
			out = append(out, w)
		}
	}
	return out
}

// substituted are the words of what sed runs by a flag of its substitutions, as in
// s/x/git push/e, where any sign may stand for the slashes.
func substituted(words []Word) (out []Word) {
	for _, w := range words {
		for i := 0; i+2 < len(w.Text); i++ {
			if w.Text[i] != 's' {
				continue
			}
			parts := strings.SplitN(w.Text[i+2:], w.Text[i+1:i+2], 3)
			if len(parts) < 3 {
				continue
			}
			if flags := parts[2]; strings.Contains(flags[:len(flags)-len(strings.TrimLeft(flags, "gpiImMe0123456789"))], "e") {
				out = append(out, tokens([]Word{{Text: parts[1]}})...)
			}
		}
	}
	return out
}

// spelt reports whether words have those of a pattern among them, in their order. A
// dynamic one may be any that follow the one before it.
func spelt(words []Word, want []string) bool {
	if n := len(want); want[n-1] == "*" {
		want = want[:n-1]
	}
	next, after := 0, false
	for _, w := range words {
		if next == len(want) {
			break
		}
		switch p := want[next]; {
		case w.Dynamic && after:
			return true
		case p == "*", !w.Dynamic && (glob(p, w.Text) || next == 0 && glob(p, path.Base(w.Text))):
			next, after = next+1, true
		default:
			after = false
		}
	}
	return next > 0 && next == len(want)
}

// mayStart is the match of words against those of a pattern; the first so many set
// variables. Another that is dynamic may become any number of words, so from there on it
// may be anything.
func mayStart(words []Word, want []string, sets int) match {
	for i, w := range want {
		switch {
		case w == "*" && i == len(want)-1:
			return yes
		case i >= len(words):
			return no
		case i < sets && words[i].maySet(w) == no:
			return no
		case words[i].Dynamic:
			return maybe
		case w == "*" || glob(w, words[i].Text) || i == 0 && glob(w, path.Base(words[i].Text)):
		default:
			return no
		}
	}
	if len(words) > len(want) {
		if slices.ContainsFunc(words[len(want):], func(w Word) bool { return !w.Dynamic }) {
			return no
		}
		return maybe
	}
	return yes
}
