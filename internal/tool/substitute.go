package tool

import (
	"errors"
	"fmt"
	"sort"
	"strings"
)

// substitution is a text with something in it replaced.
type substitution struct {
	text string
	at   []span // where the new text stands, in order
	note string // what had to be adapted, for the model
}

type span struct{ start, end int } // bytes

// hit is a place where the old text stands, and what to put there.
type hit struct {
	span
	insert string
}

// substitute replaces old by new in body. It looks for old literally, then with
// line endings of either kind, then as whole lines with other white space; the
// first way that finds anything decides. Without all, it must be found exactly
// once; with other white space, also with all. It never guesses: whatever is
// outside of the hits stays as it is, byte for byte, and so does whether the
// file ends with a newline. The error says, for the model, what to do.
func substitute(body, old, new string, all bool) (substitution, error) {
	ways := []struct {
		find func(body, old, new string) []hit
		all  bool
		note string
	}{
		{literalHits, true, ""},
		{anyEndingHits, true, "Note: old_string matched with the file's line endings; they were kept."},
		{wholeLineHits, false, "Note: old_string matched only with other white space; new_string was indented as the file is. Check the result below."},
	}
	for _, way := range ways {
		hits := way.find(body, old, new)
		switch {
		case len(hits) == 0:
			continue
		case len(hits) > 1 && !(all && way.all):
			return substitution{}, ambiguous(body, hits, way.all)
		}
		s := apply(body, apart(hits))
		s.note = way.note
		s.keepFinalNewline(body, old, new)
		if s.text == body {
			return s, errors.New("old_string and new_string differ only in white space that the file keeps, so nothing would change.")
		}
		return s, nil
	}
	return substitution{}, notThere(body, old, new)
}

// maxHits bounds the occurrences that are looked at.
const maxHits = 10_000

// literalHits finds old as it is, also where occurrences overlap.
func literalHits(body, old, new string) []hit {
	var hits []hit
	for from := 0; len(hits) < maxHits; {
		i := strings.Index(body[from:], old)
		if i < 0 {
			break
		}
		at := span{from + i, from + i + len(old)}
		hits = append(hits, hit{at, adapted(body, at, old, new)})
		from = at.start + 1
	}
	return hits
}

// anyEndingHits finds old when lines end in CRLF in one of the texts and in LF
// in the other.
func anyEndingHits(body, old, new string) []hit {
	if !strings.Contains(body, "\r\n") && !strings.Contains(old, "\r\n") {
		return nil
	}
	var removed []int // where in the LF text a CR was taken out
	for i, taken := 0, 0; ; taken++ {
		j := strings.Index(body[i:], "\r\n")
		if j < 0 {
			break
		}
		removed = append(removed, i+j-taken)
		i += j + 2
	}
	original := func(pos int) int { return pos + sort.SearchInts(removed, pos) }
	hits := literalHits(toLF(body), toLF(old), new)
	for i, h := range hits {
		at := span{original(h.start), original(h.end)}
		hits[i] = hit{at, adapted(body, at, old, new)}
	}
	return hits
}

// adapted is new with the line endings of where it goes. They stay as the model
// wrote them where it is the endings that it changes, or where they are mixed.
func adapted(body string, at span, old, new string) string {
	there := body[at.start:at.end]
	crlf := strings.Count(there, "\r\n")
	mixed := crlf > 0 && crlf != strings.Count(there, "\n")
	if mixed || toLF(old) == toLF(new) {
		return new
	}
	return withEOL(new, eolAt(body, at.start))
}

// wholeLineHits finds old as whole lines that differ in white space only, and
// indents new as the lines found are. It finds nothing when the one place there
// is does not follow a rule of indentation.
func wholeLineHits(body, old, new string) []hit {
	if strings.TrimSpace(old) == "" {
		return nil
	}
	lines, want := splitLines(body), texts(splitLines(old))
	squashed := make([]string, len(lines))
	for i, l := range lines {
		squashed[i] = squash(l.text)
	}
	needle := make([]string, len(want))
	for i, w := range want {
		needle[i] = squash(w)
	}
	places := occurrences(squashed, needle, maxHits)
	starts := offsets(lines)
	hits := make([]hit, len(places))
	for n, i := range places {
		hits[n].span = span{starts[i], starts[i+len(want)]}
	}
	if len(places) != 1 {
		return hits // more than one is told by where they are
	}
	found := lines[places[0]:][:len(want)]
	indented, ok := reindent(want, texts(found), texts(splitLines(new)))
	if !ok {
		return nil
	}
	if h := &hits[0]; len(indented) > 0 {
		h.end -= len(found[len(found)-1].eol)
		h.insert = strings.Join(indented, eolAt(body, h.start))
	}
	return hits
}

// offsets is where each line starts, and where the last one ends.
func offsets(lines []line) []int {
	at := make([]int, 1, len(lines)+1)
	for _, l := range lines {
		at = append(at, at[len(at)-1]+len(l.text)+len(l.eol))
	}
	return at
}

// apart drops hits that overlap an earlier one.
func apart(hits []hit) []hit {
	kept := hits[:1]
	for _, h := range hits[1:] {
		if h.start >= kept[len(kept)-1].end {
			kept = append(kept, h)
		}
	}
	return kept
}

func apply(body string, hits []hit) substitution {
	var b strings.Builder
	var at []span
	from := 0
	for _, h := range hits {
		b.WriteString(body[from:h.start])
		start := b.Len()
		b.WriteString(h.insert)
		at = append(at, span{start, b.Len()})
		from = h.end
	}
	b.WriteString(body[from:])
	return substitution{text: b.String(), at: at}
}

// keepFinalNewline gives the text a newline at its end, or none, as before has
// it, unless it is that newline which the model changes. What it takes away is
// only ever part of the new text.
func (s *substitution) keepFinalNewline(before, old, new string) {
	if s.text == "" || before == "" || strings.TrimRight(old, "\r\n") == strings.TrimRight(new, "\r\n") {
		return
	}
	last := &s.at[len(s.at)-1]
	had, has := strings.HasSuffix(before, "\n"), strings.HasSuffix(s.text, "\n")
	switch {
	case had && !has:
		s.text += eolAt(before, len(before))
	case !had && has && last.end == len(s.text):
		inserted := strings.TrimSuffix(strings.TrimSuffix(s.text[last.start:], "\n"), "\r")
		last.end = last.start + len(inserted)
		s.text = s.text[:last.end]
	}
}

func ambiguous(body string, hits []hit, allowed bool) error {
	const shown = 10
	lines := splitLines(body)
	var b strings.Builder
	fmt.Fprintf(&b, "old_string occurs %d times. Add lines around it until it is unique", len(hits))
	if allowed {
		b.WriteString(", or set replace_all")
	}
	b.WriteString(". It is at:\n")
	for _, h := range hits[:min(len(hits), shown)] {
		n := lineAt(body, h.start)
		b.WriteString(numbered(lines, n, n+1))
	}
	if more := len(hits) - shown; more > 0 {
		fmt.Fprintf(&b, "… and at %d more\n", more)
	}
	return errors.New(b.String())
}
