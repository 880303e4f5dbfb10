package tool

import (
	"fmt"
	"strings"
)

// line is one line of a file, apart from what ends it: "\n", "\r\n", or nothing
// for a last line without a newline.
type line struct{ text, eol string }

func splitLines(s string) []line {
	var lines []line
	for s != "" {
		text, rest, ended := strings.Cut(s, "\n")
		l := line{text: text}
		if ended {
			l.eol = "\n"
			if t, ok := strings.CutSuffix(text, "\r"); ok {
				l = line{t, "\r\n"}
			}
		}
		lines, s = append(lines, l), rest
	}
	return lines
}

func joinLines(lines []line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteString(l.eol)
	}
	return b.String()
}

// texts are the lines without their ends.
func texts(lines []line) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = l.text
	}
	return out
}

// toLF makes every line end in "\n".
func toLF(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

// withEOL makes every line end in eol.
func withEOL(s, eol string) string {
	s = toLF(s)
	if eol == "\n" {
		return s
	}
	return strings.ReplaceAll(s, "\n", eol)
}

// eolAt is how the line around a position ends, or the one before it when it is
// the last.
func eolAt(s string, pos int) string {
	end := strings.IndexByte(s[pos:], '\n')
	if end >= 0 {
		end += pos
	} else if end = strings.LastIndexByte(s[:pos], '\n'); end < 0 {
		return "\n"
	}
	if end > 0 && s[end-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineAt is the number, from 1, of the line that holds a position.
func lineAt(s string, pos int) int { return strings.Count(s[:pos], "\n") + 1 }

const (
	maxShown     = 2000 // bytes of a line that read shows
	maxSnippet   = 60   // lines of a snippet
	snippetRange = 4    // lines around a change
)

// numbered shows lines from..to of a file, counted from 1 and clipped to it, as
// read does. A long stretch is shown by its ends.
func numbered(lines []line, from, to int) string {
	from, to = max(from, 1), min(to, len(lines))
	var b strings.Builder
	for n := from; n <= to; n++ {
		if to-from >= maxSnippet && n == from+maxSnippet/2 {
			next := to - maxSnippet/2 + 1
			fmt.Fprintf(&b, "   … %s …\n", count(next-n, "line"))
			n = next
		}
		writeNumbered(&b, n, lines[n-1].text)
	}
	return b.String()
}

func writeNumbered(b *strings.Builder, n int, text string) {
	fmt.Fprintf(b, "%4d\t%s\n", n, cut(visible(text), maxShown))
}

// squash is a line as whitespace-tolerant matching compares it.
func squash(s string) string { return strings.Join(strings.Fields(s), " ") }

// occurrences finds where needle occurs in hay, overlapping, at most limit
// times, in time linear in both (Knuth, Morris and Pratt).
func occurrences(hay, needle []string, limit int) []int {
	if len(needle) == 0 || len(needle) > len(hay) {
		return nil
	}
	fall := make([]int, len(needle)+1)
	fall[0] = -1
	for i, k := 0, -1; i < len(needle); {
		for k >= 0 && needle[i] != needle[k] {
			k = fall[k]
		}
		i, k = i+1, k+1
		fall[i] = k
	}
	var found []int
	for i, k := 0, 0; i < len(hay) && len(found) < limit; i++ {
		for k >= 0 && hay[i] != needle[k] {
			k = fall[k]
		}
		if k++; k == len(needle) {
			found = append(found, i+1-k)
			k = fall[k]
		}
	}
	return found
}
