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

// mayBe reports whether a pattern that forbids means the command, wherever its
// program lies, with and without assignments, and whatever wraps it.
func (c *Command) mayBe(pattern string) match {
	want := strings.Fields(pattern)
	m := max(mayStart(c.Words, want), mayStart(c.Words[c.Bare:], want))
	if c.Wraps {
		for i := c.Bare + 1; i < len(c.Words); i++ {
			m = max(m, mayStart(c.Words[i:], want))
			for inner := split(c.Words[i]); len(inner) > 0; inner = inner[1:] {
				m = max(m, mayStart(inner, want))
			}
		}
	}
	return m
}

// split is a word as the line of shell that a wrapper may take it for.
func split(w Word) []Word {
	var words []Word
	for f := range strings.FieldsSeq(w.Text) {
		words = append(words, Word{Text: strings.Trim(f, `"';&|()`), Dynamic: w.Dynamic})
	}
	return words
}

// mayStart is the match of words against those of a pattern. A dynamic word may
// become any number of words, so from the first one on it may be anything.
func mayStart(words []Word, want []string) match {
	for i, w := range want {
		switch {
		case w == "*" && i == len(want)-1:
			return yes
		case i >= len(words):
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
