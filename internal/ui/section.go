package ui

import (
	"io"
	"strings"
)

// Row is one line of a section: a name, what is to be said about it, and how it is.
type Row struct {
	Name, Text string
	Mark       Mark
}

// Mark says how what a row names is.
type Mark string

const (
	MarkOK   Mark = "ok"
	MarkNo   Mark = "no" // it is not there, and need not be
	MarkFail Mark = "FAIL"
)

// Section prints a heading and rows below it. Long texts are not cut: what to do
// about a row that is not OK is at their end.
func Section(w io.Writer, title string, rows []Row) error {
	p := page{style: styleOf(w, Auto, 0)}
	p.say(span{text: clean(title), tint: bold})
	for _, r := range rows {
		for i, line := range cleanLines(r.Text) {
			if i > 0 {
				p.lines = append(p.lines, pad("", 29)+line)
				continue
			}
			p.lines = append(p.lines, "  "+pad(string(r.Mark), 4)+" "+pad(clean(r.Name), 22)+" "+line)
		}
	}
	return p.write(w)
}

// Text makes a text of any origin safe to print: no control sequences, nothing
// invisible; its lines stay lines.
func Text(s string) string { return strings.Join(cleanLines(s), "\n") }
