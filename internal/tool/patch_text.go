package tool

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// patchText applies the hunks of one file to its text, in order. Kept lines stay
// as the file has them. The error tells of each hunk that does not fit.
func patchText(body string, hunks []hunk) (patched string, notes []string, err error) {
	t := &target{lines: splitLines(body), views: map[int][]string{}}
	var failed []string
	for _, h := range hunks {
		if err := t.apply(h); err != nil {
			failed = append(failed, fmt.Sprintf("hunk %d: %s", h.number, err))
		}
	}
	if len(failed) > 0 {
		return "", nil, errors.New(strings.Join(failed, "\n"))
	}
	return t.finish(hunks), t.notes, nil
}

// target is a file that is being patched.
type target struct {
	lines      []line
	next       int // index of the first line no hunk has passed
	out        []line
	notes      []string
	views      map[int][]string // the lines as each leniency sees them
	reachedEnd bool             // the last hunk covers the last line
}

// leniencies are the ways to compare lines, strictest first.
var leniencies = []struct {
	see      func(string) string
	reindent bool   // kept lines may be indented otherwise, so added ones need to be
	note     string // for the model
}{
	{func(s string) string { return s }, false, ""},
	{func(s string) string { return strings.TrimRight(s, " \t\r") }, false, ""},
	{strings.TrimSpace, true, "matched with other indentation; the added lines were indented as the file is."},
	{func(s string) string { return strings.TrimSpace(strings.Map(ascii, s)) }, true, "matched with other punctuation (quotes, dashes or spaces)."},
}

// ascii folds the typographic characters that models write for plain ones, or
// the other way round.
func ascii(r rune) rune {
	switch {
	case r < 0x80:
		return r
	case r >= 0x2010 && r <= 0x2015 || r == 0x2212 || r == 0xfe58 || r == 0xfe63 || r == 0xff0d:
		return '-'
	case r >= 0x2018 && r <= 0x201b || r == 0x2032:
		return '\''
	case r >= 0x201c && r <= 0x201f || r == 0x2033:
		return '"'
	case unicode.Is(unicode.Zs, r):
		return ' '
	}
	return r
}

func (t *target) view(level int) []string {
	if t.views[level] == nil {
		view := make([]string, len(t.lines))
		for i, l := range t.lines {
			view[i] = leniencies[level].see(l.text)
		}
		t.views[level] = view
	}
	return t.views[level]
}

func seen(level int, lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = leniencies[level].see(l)
	}
	return out
}

func (t *target) apply(h hunk) error {
	from, err := t.anchor(h.anchors)
	if err != nil {
		return err
	}
	old := h.old()
	if len(old) == 0 {
		t.replace(t.insertion(h, from), h, h.lines)
		return nil
	}
	for level, way := range leniencies {
		at, err := t.choose(h, t.find(level, from, old, len(h.anchors) > 0))
		if err != nil {
			return err
		}
		if at < 0 {
			continue
		}
		lines := h.lines
		if way.reindent {
			var ok bool
			if lines, ok = h.indentedAs(texts(t.lines[at : at+len(old)])); !ok {
				continue
			}
		}
		if way.note != "" {
			t.notes = append(t.notes, fmt.Sprintf("hunk %d %s", h.number, way.note))
		}
		t.replace(at, h, lines)
		return nil
	}
	return t.unfit(h, old, from)
}

// find returns where old stands at or after from. After an anchor the anchor
// itself may be the first of the lines.
func (t *target) find(level, from int, old []string, anchored bool) []int {
	view, want := t.view(level), seen(level, old)
	found := occurrences(view[from:], want, maxHits)
	if len(found) == 0 && anchored && from > t.next {
		from--
		found = occurrences(view[from:], want, 1)
	}
	for i := range found {
		found[i] += from
	}
	return found
}

// choose picks the place that a hunk means, or -1 when there is none: the end of
// the file or the line it names, the first after its anchor, else the only one.
func (t *target) choose(h hunk, found []int) (int, error) {
	if len(found) == 0 {
		return -1, nil
	}
	last := found[len(found)-1]
	if h.toEnd && last+len(h.old()) == len(t.lines) {
		return last, nil
	}
	for _, at := range found {
		if at == h.at-1 {
			return at, nil
		}
	}
	if len(found) == 1 || len(h.anchors) > 0 {
		return found[0], nil
	}
	return 0, fmt.Errorf("its lines occur %d times, first at lines %d and %d. Add kept lines around them, or a line %q before them.",
		len(found), found[0]+1, found[1]+1, "@@ the function or class they are in")
}

// insertion is where a hunk that only adds goes.
func (t *target) insertion(h hunk, anchored int) int {
	switch {
	case len(h.anchors) > 0:
		return anchored
	case h.at >= 0:
		return max(min(h.at, len(t.lines)), t.next)
	}
	return len(t.lines)
}

// anchor finds the anchors one after the other and returns the index after the
// last one.
func (t *target) anchor(anchors []string) (int, error) {
	from := t.next
	for _, a := range anchors {
		at := t.findAnchor(a, from)
		if at < 0 {
			return 0, fmt.Errorf("the line %q after @@ is not in the file%s.", cut(visible(a), 120), t.after())
		}
		from = at + 1
	}
	return from, nil
}

func (t *target) findAnchor(a string, from int) int {
	for level := range leniencies {
		view, want := t.view(level), leniencies[level].see(a)
		for i := from; i < len(view); i++ {
			if view[i] == want {
				return i
			}
		}
	}
	for i := from; i < len(t.lines); i++ { // models give the start of a long line
		if want := strings.TrimSpace(a); want != "" && strings.HasPrefix(strings.TrimSpace(t.lines[i].text), want) {
			return i
		}
	}
	return -1
}

func (t *target) after() string {
	if t.next == 0 {
		return ""
	}
	return fmt.Sprintf(" after line %d, where the hunk before it ends", t.next)
}

// indentedAs returns the hunk's lines with the added ones indented as the file
// is, given the lines of the file that it found.
func (h hunk) indentedAs(found []string) ([]hunkLine, bool) {
	var added []string
	for _, l := range h.lines {
		if l.op == '+' {
			added = append(added, l.text)
		}
	}
	added, ok := reindent(h.old(), found, added)
	if !ok {
		return nil, false
	}
	lines := make([]hunkLine, len(h.lines))
	for i, l := range h.lines {
		if lines[i] = l; l.op == '+' {
			lines[i].text, added = added[0], added[1:]
		}
	}
	return lines, true
}

// replace copies what lies before the hunk, then the hunk's own lines.
func (t *target) replace(at int, h hunk, lines []hunkLine) {
	t.out = append(t.out, t.lines[t.next:at]...)
	for _, l := range lines {
		switch l.op {
		case ' ':
			t.out = append(t.out, t.lines[at])
			at++
		case '-':
			at++
		case '+':
			t.out = append(t.out, line{l.text, t.ending(l.eol, at)})
		}
	}
	t.next = at
	t.reachedEnd = at == len(t.lines)
}

// ending is how an added line ends: as the patch says, else as the lines of the
// file before it, else as those after.
func (t *target) ending(said string, at int) string {
	if said != "" {
		return said
	}
	for i := at - 1; i >= 0; i-- { // two steps at most: only the last line is open
		if t.lines[i].eol != "" {
			return t.lines[i].eol
		}
	}
	if at < len(t.lines) && t.lines[at].eol != "" {
		return t.lines[at].eol
	}
	return "\n"
}

// finish copies the rest and settles the newline at the end: as it was, unless
// a diff says otherwise.
func (t *target) finish(hunks []hunk) string {
	out := append(t.out, t.lines[t.next:]...)
	if len(out) == 0 {
		return ""
	}
	closed := len(t.lines) == 0 || t.lines[len(t.lines)-1].eol != ""
	if n := len(hunks); n > 0 && t.reachedEnd {
		switch h := hunks[n-1]; {
		case h.newOpen:
			closed = false
		case h.oldOpen:
			closed = true
		}
	}
	for i := range out {
		switch last := i == len(out)-1; {
		case last && !closed:
			out[i].eol = ""
		case out[i].eol == "":
			out[i].eol = t.ending("", len(t.lines))
		}
	}
	return joinLines(out)
}

// unfit explains why a hunk's lines were not found.
func (t *target) unfit(h hunk, old []string, from int) error {
	var b strings.Builder
	fmt.Fprintf(&b, "its lines are not in the file%s.", t.after())
	if len(occurrences(texts(t.lines[:t.next]), old, 1)) > 0 {
		b.WriteString(" They are before it: give the hunks of a file in the order of the file.")
		return errors.New(b.String())
	}
	if w, ok := nearest(texts(t.lines), old); ok {
		b.WriteString(" The lines that come closest (≠ differs; → is a tab, · a space):\n" + w.String())
		b.WriteString("Make the hunk's kept and removed lines equal to these.")
	} else if len(h.anchors) > 0 {
		fmt.Fprintf(&b, " After the @@ line, line %d, the file has:\n%s", from, numbered(t.lines, from+1, from+len(old)+snippetRange))
	} else {
		b.WriteString(" Nothing in the file is like them; read it again.")
	}
	return errors.New(b.String())
}
