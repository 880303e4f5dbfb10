package guard

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"plain", "a\tb\nc", "a\tb\nc"},
		{"colour", "\x1b[1;31mred\x1b[0m", "red"},
		{"private mode", "\x1b[?25lx\x1b[?25h", "x"},
		{"title", "\x1b]0;owned\x07text", "text"},
		{"link", "\x1b]8;;http://evil\x1b\\label\x1b]8;;\x1b\\", "label"},
		{"charset", "\x1b(Bx", "x"},
		{"keypad", "\x1b=x\x1b>", "x"},
		{"C1 sequence", "\u009b31mred\u009d0;t\u009ctext", "redtext"},
		{"DCS", "\x1bPq#0;2\x1b\\x", "x"},
		{"unfinished title", "\x1b]0;lost\nnext line", "0;lost\nnext line"},
		{"unfinished sequence", "a\x1b[31", "a"},
		{"escape in a string", "\x1b]0;t\x1b[31mred", "0;tred"},
		{"aborted sequence", "\x1b[3\nx", "\nx"},
		{"progress", "10%\r20%\r30%\ndone\n", "30%\ndone\n"},
		{"progress that ends so", "10%\r20%\r", "20%"},
		{"crlf", "a\r\nb\r\n", "a\nb\n"},
		{"backspace", "ab\b\bcd\b", "c"},
		{"overstrike", "N\bNA\bA", "NA"},
		{"bidi", "a\u202eb\u2066c\u200fd", "abcd"},
		{"zero width", "pass\u200bword\ufeff\u2060", "password"},
		{"tags", "hi\U000e0041\U000e0042", "hi"},
		{"variation selectors", "\u26a0\ufe0f\U000e0100", "\u26a0"},
		{"line separator", "a\u2028b", "a\nb"},
		{"nul and bell", "a\x00b\x07c\x7f", "abc"},
		{"not UTF-8", "a\xffb\xc3", "a\uFFFDb\uFFFD"},
		{"kept", "über 漢字 🙂 ①", "über 漢字 🙂 ①"},
	} {
		if got := Clean(c.in); got != c.want {
			t.Errorf("%s: Clean(%q) = %q, want %q", c.name, c.in, got, c.want)
		}
	}
}

// What Unicode calls ignorable by default nobody sees, but for the signs that it says
// are seen in spite of that (UAX 44, Default_Ignorable_Code_Point).
func TestWhatNobodySeesIsHidden(t *testing.T) {
	t.Parallel()
	seen := []*unicode.RangeTable{unicode.Prepended_Concatenation_Mark, unicode.White_Space, unicode.Egyptian_Hieroglyphs}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		ignorable := unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector) && !unicode.In(r, seen...)
		if ignorable && !Hidden(r) {
			t.Errorf("%U passes", r)
		}
	}
}

func checkClean(t interface{ Errorf(string, ...any) }, s string) {
	out := Clean(s)
	if !utf8.ValidString(out) {
		t.Errorf("Clean(%q) is not UTF-8", s)
	}
	for _, r := range out {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || Hidden(r) {
			t.Errorf("Clean(%q) lets %U through", s, r)
		}
	}
	if again := Clean(out); again != out {
		t.Errorf("Clean(%q) = %q, and again %q", s, out, again)
	}
}

// hostile is text made of the pieces that cleaning is about.
var hostile = rapid.Custom(func(t *rapid.T) string {
	pieces := rapid.SliceOf(rapid.SampledFrom([]string{
		"text", "\n", "\r", "\r\n", "\b", "\x1b", "\x1b[", "\x1b]", "\x1bP", "31m", "0;t", "\x07", "\x1b\\", "\u009b", "\u009d", "\u009c",
		"\u202e", "\u200b", "\xff", "\xe2\x80", "é", "🙂", "\t", "\x00", "(", "B",
	})).Draw(t, "pieces")
	return strings.Join(pieces, "")
})

func TestCleanHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) { checkClean(t, hostile.Draw(t, "s")) })
}

// Cutting the output anywhere must not change what is cleaned.
func TestCleanInPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := hostile.Draw(t, "s")
		var b strings.Builder
		c := Cleaner{To: func(l string) { b.WriteString(l) }}
		for rest := []byte(s); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			c.Feed(rest[:n:n])
			rest = rest[n:]
		}
		c.Close()
		if got, want := b.String(), Clean(s); got != want {
			t.Errorf("in pieces %q, at once %q", got, want)
		}
	})
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a\x1b[31mb\r\nc\rd", "\x1b]0;t\x1b\\\u202e\xff", "\x1b]x\nb\b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkClean(t, s) })
}
