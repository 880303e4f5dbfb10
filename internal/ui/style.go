package ui

import (
	"io"
	"math"
	"os"
	"strings"

	"golang.org/x/term"
)

// Choice is a setting that can be left to what the output is.
type Choice int

const (
	Auto Choice = iota
	On
	Off
)

// defaultWidth is what progress and tables are cut to that go to no terminal, in columns.
const defaultWidth = 80

// style turns parts of a line into the bytes that show it.
type style struct {
	color bool
	width int // columns
}

// styleOf finds how to write on w. TERM and NO_COLOR are read from the
// environment; see https://no-color.org.
func styleOf(w io.Writer, color Choice, width int) style {
	s := style{color: color == On, width: width}
	if color == Auto {
		s.color = isTerminal(w) && os.Getenv("NO_COLOR") == ""
	}
	if s.width <= 0 {
		s.width = widthOf(w)
	}
	return s
}

// isTerminal reports whether w is a terminal that understands escape codes.
func isTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	kind := os.Getenv("TERM")
	return ok && kind != "" && kind != "dumb" && term.IsTerminal(int(f.Fd()))
}

func widthOf(w io.Writer) int {
	if width, ok := terminalWidth(w); ok {
		return width
	}
	return defaultWidth
}

func terminalWidth(w io.Writer) (width int, ok bool) {
	f, ok := w.(interface{ Fd() uintptr })
	if !ok {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	return width, err == nil && width > 0
}

// reportOn is the style of what a person or a program reads as a whole.
func reportOn(w io.Writer) style { return styleOf(w, Auto, reportWidth(w)) }

// reportWidth is without end where no terminal sets it: nothing is wrapped or cut then, so
// that a path or a command can be searched for, and copied.
func reportWidth(w io.Writer) int {
	if width, ok := terminalWidth(w); ok {
		return width
	}
	return math.MaxInt32
}

// tint is a colour, or another emphasis: the parameters of an SGR sequence.
type tint string

const (
	none   tint = ""
	bold   tint = "1"
	dim    tint = "2"
	red    tint = "31"
	green  tint = "32"
	yellow tint = "33"
	blue   tint = "34"
	violet tint = "35"
	cyan   tint = "36"
	strong tint = "1;33"
)

// span is a part of a line. Its text may come from anywhere.
type span struct {
	text string
	tint tint
	flex bool // cut first, so that what follows stays visible
}

// line puts spans together, cleaned and cut to the width.
func (s style) line(spans ...span) string {
	fixed := 0
	for i := range spans {
		spans[i].text = clean(spans[i].text)
		if !spans[i].flex {
			fixed += columns(spans[i].text)
		}
	}
	var b strings.Builder
	left, flexible := s.width, max(s.width-fixed, 0)
	for _, sp := range spans {
		room := left
		if sp.flex {
			room = min(room, flexible)
			flexible -= min(flexible, columns(sp.text))
		}
		text := cut(sp.text, room)
		left -= columns(text)
		b.WriteString(s.paint(sp.tint, text))
	}
	return b.String()
}

func (s style) paint(t tint, text string) string {
	if !s.color || t == none || strings.TrimSpace(text) == "" {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}
