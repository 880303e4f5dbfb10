package ui

import (
	"io"

	"mgx"
)

// errorLines bounds how much an error may say.
const errorLines = 60

// Error prints "mgx: " and the error's message. Causes are not printed: only
// the message was made to be shown.
func Error(w io.Writer, e *mgx.Error) {
	p := page{style: styleOf(w, Auto, 0)}
	lines := cleanLines(e.Message)
	if len(lines) == 0 {
		lines = []string{"failed without saying why (" + clean(e.Code) + ")"}
	}
	lines[0] = "mgx: " + lines[0]
	p.lines = append(p.lines, lines[:min(len(lines), errorLines)]...) // not cut: the person needs all of it
	p.write(w)
}
