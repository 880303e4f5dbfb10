package ui

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mgx/internal/guard"
)

// maxText bounds, in bytes, what is looked at of any one text.
const maxText = 64 << 10

// maxMarks is how many combining marks may follow one character; more would
// paint over the neighbouring lines.
const maxMarks = 2

// clean makes s safe to show and one line: control sequences go, white space of
// any kind becomes spaces, and what is not printable is dropped.
func clean(s string) string {
	s = s[:min(len(s), maxText)]
	if isPlain(s) {
		return s
	}
	s = guard.Clean(s)
	var b strings.Builder
	marks := 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			b.WriteByte(' ')
			marks = 0
		case unicode.IsMark(r):
			if marks++; marks <= maxMarks {
				b.WriteRune(r)
			}
		case unicode.IsPrint(r):
			b.WriteRune(r)
			marks = 0
		}
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// cleanLines splits s into lines that are safe to show, with tabs as four
// spaces and without blank lines at either end.
func cleanLines(s string) []string {
	s = s[:min(len(s), maxText)]
	s = strings.ReplaceAll(s, "\r\n", "\n")
	s = strings.ReplaceAll(s, "\t", "    ")
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(clean(l), " ")
	}
	for len(lines) > 0 && lines[0] == "" {
		lines = lines[1:]
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// firstLine is the first line of s that says something.
func firstLine(s string) string {
	if lines := cleanLines(s); len(lines) > 0 {
		return strings.TrimSpace(lines[0])
	}
	return ""
}

// tail is the last n lines of s. Only the end of a long text is looked at.
func tail(s string, n int) []string {
	if len(s) > maxText {
		s = s[len(s)-maxText:]
	}
	lines := cleanLines(s)
	return lines[max(0, len(lines)-n):]
}

// columns is how wide clean text is on a terminal.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is 0 for marks, 2 for what East Asian Width (UAX #11) calls wide,
// roughly and on the large side, and else 1.
func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r >= 0x1100 && r <= 0x115f, // Hangul Jamo
		r >= 0x231a && r <= 0x231b, r >= 0x23e9 && r <= 0x23f3, // clocks, media signs
		r >= 0x25fd && r <= 0x25fe, r >= 0x2614 && r <= 0x2615, r >= 0x2648 && r <= 0x2653,
		r >= 0x267f && r <= 0x26fd, r == 0x2705, r >= 0x270a && r <= 0x270b, r == 0x2728,
		r == 0x274c, r == 0x274e, r >= 0x2753 && r <= 0x2757, r >= 0x2795 && r <= 0x2797,
		r == 0x27b0, r == 0x27bf, r >= 0x2b1b && r <= 0x2b1c, r == 0x2b50, r == 0x2b55,
		r >= 0x2e80 && r <= 0xa4cf,                             // CJK, kana
		r >= 0xa960 && r <= 0xa97c, r >= 0xac00 && r <= 0xd7a3, // Hangul
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe10 && r <= 0xfe6f, // compatibility forms
		r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, // full width
		r >= 0x16fe0 && r <= 0x18cff, r >= 0x1aff0 && r <= 0x1b2ff,
		r >= 0x1f000 && r <= 0x1faff, // pictographs
		r >= 0x20000 && r <= 0x3ffff:
		return 2
	}
	return 1
}

// cut shortens clean text to width columns, with an ellipsis when it did.
func cut(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += runeColumns(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// cutFront is cut that keeps the end of s.
func cutFront(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	n, at := 0, len(s)
	for at > 0 {
		r, size := utf8.DecodeLastRuneInString(s[:at])
		if n += runeColumns(r); n > width-1 {
			break
		}
		at -= size
	}
	return "…" + s[at:]
}

// pad fills clean text with spaces up to width columns.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-columns(s)))
}

// wrap breaks text into at most limit lines of at most width columns, between
// words where it can.
func wrap(text string, width, limit int) []string {
	var out []string
	for _, para := range cleanLines(text) {
		out = append(out, wrapLine(para, max(width, 2), limit)...)
		if len(out) > limit {
			return append(out[:limit-1:limit-1], "…")
		}
	}
	return out
}

// wrapLine wraps one line. It gives up after limit lines and one more.
func wrapLine(s string, width, limit int) (out []string) {
	for len(out) <= limit {
		at := breakAt(s, width)
		out = append(out, strings.TrimRight(s[:at], " "))
		if at == len(s) {
			break
		}
		s = strings.TrimLeft(s[at:], " ")
	}
	return out
}

// breakAt is where to break s so that the first part fits: after the last space
// that does, else in the middle of a word.
func breakAt(s string, width int) int {
	n, space := 0, 0
	for i, r := range s {
		if r == ' ' && strings.TrimSpace(s[:i]) != "" {
			space = i
		}
		if n += runeColumns(r); n > width {
			if space > 0 {
				return space
			}
			return max(i, 1)
		}
	}
	return len(s)
}
