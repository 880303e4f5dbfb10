package tool

import (
	"errors"
	"fmt"
	"strings"

	"mgx/internal/lazy"
)

// notThere explains why old is not in body, with what the model needs to try
// again: the lines that come closest, as they really are.
func notThere(body, old, new string) error {
	plainBody := toLF(body)
	switch {
	case numberedLines().MatchString(old):
		return errors.New("old_string begins its lines with line numbers. They are not part of the file: leave them and the tab after them out.")
	case unescaped(old) != old && strings.Contains(plainBody, unescaped(old)):
		return errors.New(`old_string has \n or \" where the file has a newline or quote: send the characters themselves, escaped once.`)
	}
	var b strings.Builder
	if len(strings.TrimSpace(new)) >= 8 && strings.Contains(plainBody, toLF(new)) {
		fmt.Fprintf(&b, "old_string is not there, but new_string is, at line %d: this edit seems to be applied already. Read the file before you go on.\n",
			lineAt(plainBody, strings.Index(plainBody, toLF(new))))
	} else {
		b.WriteString("old_string is not there. ")
	}
	lines := splitLines(body)
	if w, ok := nearest(texts(lines), texts(splitLines(old))); ok {
		b.WriteString("The lines that come closest (≠ differs; → is a tab, · a space):\n")
		b.WriteString(w.String())
		b.WriteString("Send old_string exactly as these lines are, without numbers and marks.")
	} else {
		b.WriteString("Nothing in the file is like it. Read the file again: it may have changed, or the text is in another file.")
	}
	return errors.New(b.String())
}

var numberedLines = lazy.Regexp(`^( *\d+\t[^\n]*\n?)+$`)

var unescape = strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\"`, `"`)

func unescaped(s string) string { return unescape.Replace(s) }

// view is a stretch of a file beside what a model took it for.
type view struct {
	start  int // index of the first line
	lines  []string
	wanted []string
}

// nearest finds the stretch of a file that has the most lines in common with
// wanted, white space aside; at least half of the lines that are not blank. It
// lets each common line vote for where the stretch would begin.
func nearest(lines, wanted []string) (view, bool) {
	const often = 50 // a line that occurs more often says nothing
	where := make(map[string][]int)
	for i, l := range lines {
		if key := squash(l); key != "" && len(where[key]) <= often {
			where[key] = append(where[key], i)
		}
	}
	votes, telling := make(map[int]int), 0
	for i, w := range wanted {
		key := squash(w)
		if key == "" {
			continue
		}
		telling++
		if at := where[key]; len(at) <= often {
			for _, j := range at {
				votes[j-i]++
			}
		}
	}
	best, most := 0, 0
	for start, n := range votes {
		if n > most || n == most && start < best {
			best, most = start, n
		}
	}
	if most == 0 || most*2 < telling {
		return view{}, false
	}
	first := max(best, 0)
	last := min(best+len(wanted), len(lines))
	return view{first, lines[first:last], wanted[first-best:]}, true
}

func (v view) String() string {
	const shown = 40
	var b strings.Builder
	for i, l := range v.lines[:min(len(v.lines), shown)] {
		mark := " "
		if i >= len(v.wanted) || l != v.wanted[i] {
			mark = "≠"
		}
		fmt.Fprintf(&b, "%s%4d\t%s\n", mark, v.start+i+1, cut(showSpace(visible(l)), maxMatchLine))
	}
	if more := len(v.lines) - shown; more > 0 {
		fmt.Fprintf(&b, "… %s more\n", count(more, "line"))
	}
	return b.String()
}

// showSpace makes white space at the ends of a line visible.
func showSpace(l string) string {
	body := strings.Trim(l, " \t")
	if body == "" {
		return spaceMarks.Replace(l)
	}
	i := strings.Index(l, body)
	return spaceMarks.Replace(l[:i]) + body + spaceMarks.Replace(l[i+len(body):])
}

var spaceMarks = strings.NewReplacer("\t", "→", " ", "·")
