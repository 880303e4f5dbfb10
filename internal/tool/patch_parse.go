package tool

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"mgx/internal/lazy"
)

// fileChange is what a patch does to one file.
type fileChange struct {
	op      string
	path    string
	moveTo  string
	content string      // of an added file
	mode    fs.FileMode // permission bits, when the patch says
	hunks   []hunk
}

const (
	opAdd    = "add"
	opDelete = "delete"
	opUpdate = "update"
)

// hunk is one place to change: lines to find, some to remove, some to add.
type hunk struct {
	number  int      // in its file, from 1
	anchors []string // lines to find before, one after the other
	lines   []hunkLine
	at      int  // line number the patch gives, from 1; -1: none
	toEnd   bool // the lines found are the last ones

	// A diff can say whether the last line has a newline.
	oldOpen, newOpen bool
}

// hunkLine is a line that is kept (' '), removed ('-') or added ('+'). Its eol is
// "" unless the patch is explicit about it.
type hunkLine struct {
	op byte
	line
	bare bool // written without the leading space of a kept line
}

// old are the texts that must be in the file.
func (h hunk) old() []string {
	var out []string
	for _, l := range h.lines {
		if l.op != '+' {
			out = append(out, l.text)
		}
	}
	return out
}

// parsePatch reads a patch in the "*** Begin Patch" format or a unified diff. It
// takes the wrappings off that models put around one.
func parsePatch(text string) ([]fileChange, error) {
	lines := strings.Split(strings.TrimSuffix(unwrapped(text), "\n"), "\n")
	lines = transported(lines)
	p := &patchReader{lines: lines}
	for _, l := range lines {
		switch {
		case isMarker(l):
			return p.finish(p.envelope())
		case strings.HasPrefix(l, "diff --git ") || strings.HasPrefix(l, "--- "):
			return p.finish(p.unified())
		}
	}
	return nil, errors.New(`it has no file in it. Begin it with "*** Begin Patch" and "*** Update File: PATH", or send a unified diff.`)
}

// unwrapped takes off a code fence or a shell here-document.
func unwrapped(text string) string {
	text = strings.TrimLeft(text, "\n\r\t ")
	first, rest, _ := strings.Cut(text, "\n")
	if strings.HasPrefix(first, "```") {
		if end := strings.LastIndex(rest, "\n```"); end >= 0 {
			return rest[:end+1]
		}
		return rest
	}
	if m := hereDocument().FindStringSubmatch(first); m != nil {
		if end := strings.LastIndex(rest, "\n"+m[1]); end >= 0 {
			return rest[:end+1]
		}
	}
	return text
}

var hereDocument = lazy.Regexp(`^(?:apply_patch |cat )?<<-?\s*['"]?(\w+)['"]?\s*$`)

// transported takes CRs off when every line has one: then they belong to how the
// patch was sent and not to the files.
func transported(lines []string) []string {
	for _, l := range lines {
		if l != "" && !strings.HasSuffix(l, "\r") {
			return lines
		}
	}
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = strings.TrimSuffix(l, "\r")
	}
	return out
}

type patchReader struct {
	lines   []string
	next    int
	changes []fileChange
}

func (p *patchReader) more() bool   { return p.next < len(p.lines) }
func (p *patchReader) peek() string { return p.lines[p.next] }
func (p *patchReader) take() string { p.next++; return p.lines[p.next-1] }

// starts reports whether there is a line i and it begins with prefix.
func (p *patchReader) starts(i int, prefix string) bool {
	return i < len(p.lines) && strings.HasPrefix(p.lines[i], prefix)
}

// wrong is an error at the line taken last.
func (p *patchReader) wrong(format string, args ...any) error {
	return fmt.Errorf("line %d of the patch (%q): %s", p.next, cut(Clean(p.lines[p.next-1]), 80), fmt.Sprintf(format, args...))
}

// finish numbers the hunks and refuses patches that say nothing.
func (p *patchReader) finish(err error) ([]fileChange, error) {
	if err != nil {
		return nil, err
	}
	if len(p.changes) == 0 {
		return nil, errors.New("it changes no file.")
	}
	for i := range p.changes {
		c := &p.changes[i]
		if c.path == "" || strings.HasSuffix(c.path, "/") {
			return nil, fmt.Errorf("file %d of the patch has no file name.", i+1)
		}
		explicitEndings(c.hunks)
		for j := range c.hunks {
			c.hunks[j].number = j + 1
		}
	}
	return p.changes, nil
}

// explicitEndings moves CRs from texts to line endings. When any line of a file's
// hunks has one, the patch knows about endings, and lines without end in LF;
// otherwise added lines take the ending of their neighbours.
func explicitEndings(hunks []hunk) {
	aware := false
	for _, h := range hunks {
		for _, l := range h.lines {
			aware = aware || strings.HasSuffix(l.text, "\r")
		}
	}
	if !aware {
		return
	}
	for _, h := range hunks {
		for i := range h.lines {
			l := &h.lines[i]
			l.eol = "\n"
			if t, ok := strings.CutSuffix(l.text, "\r"); ok {
				l.line = line{t, "\r\n"}
			}
		}
	}
}

var markers = []string{"*** Add File:", "*** Delete File:", "*** Update File:"}

func isMarker(l string) bool {
	l = strings.TrimSpace(l)
	for _, m := range markers {
		if strings.HasPrefix(l, m) {
			return true
		}
	}
	return l == "*** Begin Patch"
}

// envelope reads the "*** Begin Patch" format.
func (p *patchReader) envelope() error {
	for p.more() {
		l := strings.TrimSpace(p.take())
		switch {
		case l == "*** End Patch":
			return p.nothingAfter()
		case l == "" || l == "*** Begin Patch" || len(p.changes) == 0 && !isMarker(l):
			continue
		}
		mark, name, _ := strings.Cut(l, ":")
		c := fileChange{path: strings.TrimSpace(name)}
		var err error
		switch mark + ":" {
		case markers[0]:
			c.op = opAdd
			c.content, err = p.added()
		case markers[1]:
			c.op = opDelete
		case markers[2]:
			c.op = opUpdate
			err = p.updated(&c)
		default:
			err = p.wrong(`expected "*** Add File: PATH", "*** Update File: PATH", "*** Delete File: PATH" or "*** End Patch".`)
		}
		if err != nil {
			return err
		}
		p.changes = append(p.changes, c)
	}
	return nil
}

func (p *patchReader) nothingAfter() error {
	for p.more() {
		if isMarker(p.take()) {
			return p.wrong("there is more after *** End Patch. Put all files into one patch.")
		}
	}
	return nil
}

// added reads the lines of a new file.
func (p *patchReader) added() (string, error) {
	var b strings.Builder
	for p.more() && !strings.HasPrefix(p.peek(), "*** ") {
		l := p.take()
		text, ok := strings.CutPrefix(l, "+")
		if !ok && strings.TrimSpace(l) != "" {
			return "", p.wrong("every line of an added file begins with +.")
		}
		if ok {
			b.WriteString(text + "\n")
		}
	}
	return b.String(), nil
}

// updated reads the hunks of a changed file.
func (p *patchReader) updated(c *fileChange) error {
	if p.more() {
		if to, ok := strings.CutPrefix(p.peek(), "*** Move to:"); ok {
			p.next++
			c.moveTo = strings.TrimSpace(to)
		}
	}
	h := hunk{at: -1}
	end := func() {
		if len(h.lines) > 0 {
			c.hunks = append(c.hunks, h)
		}
		h = hunk{at: -1}
	}
	for p.more() {
		l := p.peek()
		switch {
		case strings.TrimSpace(l) == "*** End of File":
			h.toEnd = true
			p.next++
			end()
			continue
		case strings.HasPrefix(l, "*** "):
			end()
			return p.notEmpty(c)
		}
		p.next++
		switch {
		case strings.HasPrefix(l, "@@"):
			if len(h.lines) > 0 {
				end()
			}
			h.header(l)
		case l == `\ No newline at end of file`:
		case l == "" || l == "\r":
			h.lines = append(h.lines, bareLine(l))
		case isContent(l):
			h.lines = append(h.lines, contentLine(l))
		default:
			return p.wrong(`a line of a hunk begins with " " (kept), "-" (removed) or "+" (added); a new place begins with "@@".`)
		}
	}
	end()
	return p.notEmpty(c)
}

func (p *patchReader) notEmpty(c *fileChange) error {
	for i := range c.hunks {
		c.hunks[i].trimBlankTail()
	}
	if len(c.hunks) == 0 && c.moveTo == "" {
		return p.wrong("%s has no lines to change.", quoted(c.path))
	}
	return nil
}

// trimBlankTail drops the blank lines that models leave between hunks and
// files: lines without even the leading space of a kept line.
func (h *hunk) trimBlankTail() {
	for n := len(h.lines); n > 1 && h.lines[n-1].bare; n-- {
		h.lines = h.lines[:n-1]
	}
}

func isContent(l string) bool { return l != "" && strings.IndexByte(" +-", l[0]) >= 0 }

func contentLine(l string) hunkLine { return hunkLine{op: l[0], line: line{text: l[1:]}} }

func bareLine(l string) hunkLine { return hunkLine{op: ' ', line: line{text: l}, bare: true} }

// header reads a line that begins with @@: line numbers as diff writes them, or a
// line of the file to find first.
func (h *hunk) header(l string) {
	if m := hunkHeader().FindStringSubmatch(l); m != nil {
		h.at = number(m[1], 0)
		return
	}
	if anchor := strings.TrimSpace(strings.TrimPrefix(l, "@@")); anchor != "" {
		h.anchors = append(h.anchors, strings.TrimSpace(strings.TrimSuffix(anchor, "@@")))
	}
}

// hunkHeader captures the old line, the old count and the new count.
var hunkHeader = lazy.Regexp(`^@@ -(\d{1,9})(?:,(\d{1,9}))? \+\d{1,9}(?:,(\d{1,9}))? @@`)

func number(s string, missing int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return missing
}
