package tool

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

type grepArgs struct {
	Pattern string `json:"pattern"`
	Path    string `json:"path"`
	Include string `json:"include"`
	Context int    `json:"context"`
}

const (
	maxMatches    = 100
	maxMatchLine  = 400     // bytes of a line shown
	maxMatchText  = 40_000  // bytes of one answer
	maxSearched   = 5 << 20 // bytes of a file that is searched
	searchTimeout = time.Minute
	maxContext    = 10
)

// grep searches file contents: with ripgrep where the box has it, else by
// itself. Both find the same lines, save that only ripgrep knows .gitignore.
func grep(ctx context.Context, ws *Workspace, a grepArgs) (Result, error) {
	p, err := ws.at(a.Path)
	if err != nil {
		return Result{}, err
	}
	if _, err := p.root.Stat(p.name); err != nil {
		return Result{}, grepMissing(ctx, p, err)
	}
	re, err := expression(a.Pattern)
	if err != nil {
		return Result{}, err
	}
	include := func(string) bool { return true }
	if a.Include != "" {
		if include, err = included(ws, a.Include); err != nil {
			return Result{}, err
		}
	}
	a.Context = min(max(a.Context, 0), maxContext)
	s := &search{context: a.Context}
	err = errNoRipgrep
	if unveiled := ws.Hidden != nil && len(ws.Veil) == 0; ws.Box != nil && p.kept == "" && !unveiled {
		err = ripgrep(ctx, ws, p, a, s)
	}
	if errors.Is(err, errNoRipgrep) {
		*s = search{context: a.Context}
		err = scanFiles(ctx, p, re, include, s)
	}
	if err != nil {
		return Result{}, err
	}
	return succeed(s.report(a))
}

func grepMissing(ctx context.Context, p place, err error) error {
	if reply := fileError(p, err); !strings.Contains(reply.Error(), "no such file") {
		return reply
	}
	return missing(ctx, p)
}

// included is the include glob as a test of paths relative to the workspace.
func included(ws *Workspace, glob string) (func(string) bool, error) {
	fixed, matches, err := pattern(ws, glob)
	if err != nil || fixed == "" || fixed == "." {
		return matches, err
	}
	return func(rel string) bool {
		rest, ok := strings.CutPrefix(rel, fixed+"/")
		return ok && matches(rest)
	}, nil
}

// expression compiles a pattern in the syntax that Go and ripgrep share.
func expression(pattern string) (*regexp.Regexp, error) {
	if strings.Contains(pattern, "\n") || strings.Contains(pattern, `\n`) {
		return nil, failf("The pattern contains a newline; grep looks at single lines. Search for one of the lines and use context.")
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, failf("The pattern is not a regular expression (RE2 syntax, no look-around): %s. To search for it literally, escape ( ) [ ] { } . * + ? ^ $ | with a backslash.",
			strings.TrimPrefix(Clean(err.Error()), "error parsing regexp: "))
	}
	return re, nil
}

// search collects what a search finds, up to its limits.
type search struct {
	context int
	matches int
	more    bool // there are matches that are not shown
	early   bool // it did not look everywhere
	skipped int  // files too large to search
	text    strings.Builder
	file    string // of the last line added
	line    int
}

// full reports whether another match must not be added, and remembers that
// there was one.
func (s *search) full() bool {
	s.more = s.more || s.matches >= maxMatches || s.text.Len() >= maxMatchText
	return s.more
}

// add notes a line: a match, or with at < 0 a line around one. at is where in
// the line the match begins.
func (s *search) add(p place, n int, text string, at int) {
	mark := "-"
	if at >= 0 {
		mark = ":"
		s.matches++
	}
	file := p.String()
	if s.file != "" && (file != s.file || s.context > 0 && n != s.line+1) {
		s.separate(file)
	}
	s.file, s.line = file, n
	fmt.Fprintf(&s.text, "%s%s%d%s%s\n", file, mark, n, mark, excerpt(text, at))
}

func (s *search) separate(file string) {
	if s.context > 0 {
		s.text.WriteString("--\n")
	} else if file != s.file {
		s.text.WriteString("\n")
	}
}

// excerpt is a line, or of a long one the part around where it matches.
func excerpt(text string, at int) string {
	text = strings.TrimSuffix(text, "\r")
	if len(text) <= maxMatchLine {
		return visible(text)
	}
	from := min(max(at-maxMatchLine/4, 0), len(text)-maxMatchLine)
	part := strings.ToValidUTF8(text[from:from+maxMatchLine], "")
	if from > 0 {
		part = "…" + part
	}
	if from+maxMatchLine < len(text) {
		part += "…"
	}
	return visible(part)
}

func (s *search) report(a grepArgs) string {
	var b strings.Builder
	b.WriteString(s.text.String())
	switch {
	case s.matches == 0:
		fmt.Fprintf(&b, "No line matches %s.\n", quoted(a.Pattern))
	case s.more:
		fmt.Fprintf(&b, "(the first %d matches; there are more: narrow the pattern, the path or include)\n", s.matches)
	default:
		fmt.Fprintf(&b, "(%s)\n", count(s.matches, "match"))
	}
	if s.early {
		b.WriteString("(The search did not get through all files; give a path.)\n")
	}
	if s.skipped > 0 {
		fmt.Fprintf(&b, "(%s above %s not searched)\n", count(s.skipped, "file"), size(maxSearched))
	}
	return b.String()
}
