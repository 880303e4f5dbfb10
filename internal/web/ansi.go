package web

import (
	"html/template"
	"strconv"
	"strings"

	"mgx/internal/guard"
)

// ansi draws the output of a program: the colours it asked for as classes, and
// nothing else of what it asked of a terminal.
func ansi(text string) template.HTML {
	m := &markup{}
	for i, line := range ansiLines(text) {
		if i > 0 {
			m.text("\n")
		}
		line.draw(m)
	}
	return m.html()
}

// piece is a text of one look.
type piece struct{ class, text string }

// line is the pieces of a line.
type line []piece

func (l line) draw(m *markup) {
	for _, p := range l {
		m.span(p.class, p.text)
	}
}

// ansiLines are the lines of an output. A colour lasts over their ends.
func ansiLines(text string) []line {
	var lines []line
	var now line
	class := ""
	take := func(s string) {
		parts := strings.Split(guard.Clean(s), "\n")
		for i, part := range parts {
			if i > 0 {
				lines, now = append(lines, now), nil
			}
			if part != "" {
				now = append(now, piece{class, part})
			}
		}
	}
	for text != "" {
		i := strings.Index(text, "\x1b[")
		if i < 0 {
			take(text)
			break
		}
		end := i + 2
		for end < len(text) && (text[end] == ';' || '0' <= text[end] && text[end] <= '9') {
			end++
		}
		if end == len(text) || text[end] != 'm' { // for a terminal, and none of ours
			next := strings.Index(text[i+2:], "\x1b[")
			if next < 0 {
				take(text)
				break
			}
			take(text[:i+2+next])
			text = text[i+2+next:]
			continue
		}
		take(text[:i])
		class = look(class, text[i+2:end])
		text = text[end+1:]
	}
	return append(lines, now)
}

// look is the class of text after a request to a terminal, such as 1;31.
func look(class, codes string) string {
	for code := range strings.SplitSeq(codes, ";") {
		n, _ := strconv.Atoi(code)
		switch {
		case n == 0:
			class = ""
		case n == 1:
			class = with(class, "a-b", "a-bold")
		case n == 2:
			class = with(class, "a-d", "a-dim")
		case n == 39:
			class = with(class, "a-c", "")
		case 30 <= n && n <= 37:
			class = with(class, "a-c", "a-c"+strconv.Itoa(n-30))
		case 90 <= n && n <= 97:
			class = with(class, "a-c", "a-c"+strconv.Itoa(n-90))
		case n == 38 || n == 48: // colours by number follow, which are left alone
			return class
		}
	}
	return class
}

// with replaces the class that begins with a prefix.
func with(classes, prefix, class string) string {
	var kept []string
	for c := range strings.FieldsSeq(classes) {
		if !strings.HasPrefix(c, prefix) {
			kept = append(kept, c)
		}
	}
	if class != "" {
		kept = append(kept, class)
	}
	return strings.Join(kept, " ")
}
