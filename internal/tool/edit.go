package tool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

type editArgs struct {
	Path string `json:"path"`
	Old  string `json:"old_string"`
	New  string `json:"new_string"`
	All  bool   `json:"replace_all"`
}

// edit replaces one piece of text in a file, or all its occurrences.
func edit(ctx context.Context, ws *Workspace, a editArgs) (Result, error) {
	p, err := ws.target(a.Path)
	if err != nil {
		return Result{}, err
	}
	if a.Old == a.New {
		return Result{}, failf("old_string and new_string are the same, so there is nothing to do.")
	}
	if len(a.New) > maxEditable {
		return Result{}, failf("new_string has %s; files above %s are not edited.", size(int64(len(a.New))), size(maxEditable))
	}
	d, err := load(p)
	if errors.Is(err, fs.ErrNotExist) && a.Old != "" {
		return Result{}, missing(ctx, p)
	}
	if a.Old == "" {
		return createByEdit(p, a, d, err)
	}
	if err != nil {
		return Result{}, err
	}
	sub, err := substitute(d.body, a.Old, a.New, a.All)
	if err != nil {
		return Result{}, failf("%s was not changed: %s", p, err)
	}
	if d.body = sub.text; len(d.body) > maxEditable {
		return Result{}, failf("%s was not changed: it would grow above %s.", p, size(maxEditable))
	}
	if _, err := save(p, d); err != nil {
		return Result{}, fileError(p, err)
	}
	return succeed(sub.report(p))
}

// createByEdit is an edit without an old_string: it may only make a file, or
// fill an empty one.
func createByEdit(p place, a editArgs, d document, loaded error) (Result, error) {
	switch {
	case errors.Is(loaded, fs.ErrNotExist):
		d.mode = newFileMode
	case loaded != nil:
		return Result{}, loaded
	case d.body != "":
		return Result{}, failf("%s exists and is not empty. An empty old_string only creates files: read it and name the text to replace, or use write to replace all of it.", p)
	}
	d.body = a.New
	if _, err := save(p, d); err != nil {
		return Result{}, fileError(p, err)
	}
	return succeed(fmt.Sprintf("Created %s (%s).", p, count(len(splitLines(a.New)), "line")))
}

// report shows what the file looks like where it was changed.
func (s substitution) report(p place) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Edited %s: %s.\n", p, count(len(s.at), "replacement"))
	if s.note != "" {
		b.WriteString(s.note + "\n")
	}
	lines := splitLines(s.text)
	if len(lines) == 0 {
		b.WriteString("The file is empty now.\n")
	}
	const shown = 3
	for _, at := range s.at[:min(len(s.at), shown)] {
		from, to := lineAt(s.text, at.start), lineAt(s.text, at.end)
		b.WriteString(numbered(lines, from-snippetRange, to+snippetRange))
		if len(s.at) > 1 {
			b.WriteString("--\n")
		}
	}
	if more := len(s.at) - shown; more > 0 {
		fmt.Fprintf(&b, "… and %s\n", count(more, "replacement"))
	}
	return b.String()
}
