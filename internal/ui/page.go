package ui

import (
	"io"
	"strings"
)

// page collects lines of one style.
type page struct {
	style
	lines []string
}

// say adds a line.
func (p *page) say(spans ...span) {
	p.lines = append(p.lines, strings.TrimRight(p.line(spans...), " "))
}

// gap adds an empty line.
func (p *page) gap() { p.lines = append(p.lines, "") }

// quote adds output, indented and cut.
func (p *page) quote(lines []string) {
	for _, l := range lines {
		p.say(span{text: "      "}, span{text: l, tint: dim})
	}
}

// text adds prose, indented and wrapped, in at most limit lines.
func (p *page) text(indent, text string, limit int, t tint) {
	for _, l := range wrap(text, p.width-columns(indent), limit) {
		p.say(span{text: indent}, span{text: l, tint: t})
	}
}

// write sends everything at once.
func (p *page) write(w io.Writer) error {
	_, err := io.WriteString(w, strings.Join(p.lines, "\n")+"\n")
	return err
}
