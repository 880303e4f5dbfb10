package tool

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"mgx/internal/sandbox"
)

type globArgs struct {
	Pattern string `json:"pattern"`
	Path    string `json:"path"`
}

const maxFound = 100

// glob lists files by name, newest first.
func glob(ctx context.Context, ws *Workspace, a globArgs) (Result, error) {
	p, matches, err := globbed(ws, a)
	if err != nil {
		return Result{}, err
	}
	if err := directory(p); err != nil {
		return Result{}, err
	}
	var found []foundFile
	whole := walk(ctx, p, func(file place, e fs.DirEntry) bool {
		if matches(strings.TrimPrefix(strings.TrimPrefix(file.name, p.name), "/")) {
			found = append(found, foundFile{file, modified(e)})
		}
		return true
	})
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	return succeed(tellFound(a.Pattern, found, whole))
}

type foundFile struct {
	place
	at time.Time
}

func modified(e fs.DirEntry) time.Time {
	if info, err := e.Info(); err == nil {
		return info.ModTime()
	}
	return time.Time{}
}

func tellFound(pattern string, found []foundFile, whole bool) string {
	slices.SortFunc(found, func(a, b foundFile) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.name, b.name))
	})
	var b strings.Builder
	for _, f := range found[:min(len(found), maxFound)] {
		fmt.Fprintln(&b, f.place)
	}
	switch more := len(found) - maxFound; {
	case len(found) == 0:
		fmt.Fprintf(&b, "No file matches %s.\n", quoted(pattern))
	case more > 0:
		fmt.Fprintf(&b, "… %d more; narrow the pattern or give a path\n", more)
	}
	if !whole {
		b.WriteString("The search stopped early because there are very many files; give a path to search below.\n")
	}
	return b.String()
}

// globbed is where a glob looks, and its test for paths below that.
func globbed(ws *Workspace, a globArgs) (p place, matches func(rel string) bool, err error) {
	if p, err = ws.at(a.Path); err != nil {
		return p, nil, err
	}
	fixed, matches, err := pattern(ws, a.Pattern)
	if err != nil {
		return p, nil, err
	}
	p, err = within(p.root, path.Join(p.name, fixed), fixed, p.kept, p.hidden)
	return p, matches, err
}

// pattern reads a glob as its fixed leading directory and a test for paths below
// that. One without a slash tests the file's name, at any depth.
func pattern(ws *Workspace, glob string) (fixed string, matches func(rel string) bool, err error) {
	g := strings.TrimPrefix(glob, "./")
	if rest, ok := ws.below(sandbox.Workspace, g); ok {
		g = rest
	}
	if path.IsAbs(g) || slices.Contains(strings.Split(g, "/"), "..") {
		return "", nil, outside(quoted(glob))
	}
	if g == "" || !doublestar.ValidatePattern(g) {
		return "", nil, failf("%s is not a glob pattern: check its brackets and braces, as in **/*.{ts,tsx}.", quoted(glob))
	}
	if strings.Count(g, "*")+strings.Count(g, "{")+strings.Count(g, ",") > maxWild {
		return "", nil, failf("The pattern has too many wildcards; use at most %d.", maxWild)
	}
	if !strings.Contains(g, "/") {
		return "", func(rel string) bool { return doublestar.MatchUnvalidated(g, path.Base(rel)) }, nil
	}
	fixed, g = doublestar.SplitPattern(g)
	return fixed, func(rel string) bool { return doublestar.MatchUnvalidated(g, rel) }, nil
}

// maxWild bounds the wildcards of a pattern; matching backtracks over them.
const maxWild = 40
