package git

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	maxBorrowed = 64 // object directories of one repository
	maxDepth    = 5  // of alternates of alternates, as in git
)

// objectDirs lists an object directory and every one it borrows from, each once,
// in git's order, with links resolved.
func objectDirs(own string) ([]string, error) {
	dir, err := filepath.EvalSymlinks(own)
	if err != nil {
		return nil, err
	}
	return alternates(dir, nil, 0)
}

func alternates(dir string, seen []string, depth int) ([]string, error) {
	if slices.Contains(seen, dir) || depth > maxDepth {
		return seen, nil
	}
	if len(seen) == maxBorrowed {
		return nil, fmt.Errorf("it borrows objects from more than %d directories", maxBorrowed)
	}
	seen = append(seen, dir)
	text, err := readSide(filepath.Join(dir, "info", "alternates"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		name := unquoteAlternate(strings.TrimSuffix(line, "\n"))
		if name == "" {
			continue
		}
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		real, err := filepath.EvalSymlinks(name)
		if err != nil { // git goes on without it, too
			continue
		}
		if info, err := os.Stat(real); err != nil || !info.IsDir() {
			continue
		}
		if seen, err = alternates(real, seen, depth+1); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// unquoteAlternate reads one line of an alternates file: a path, a comment
// (empty result) or a path in C-style quotes.
func unquoteAlternate(line string) string {
	if strings.HasPrefix(line, "#") {
		return ""
	}
	if strings.HasPrefix(line, `"`) {
		if name, err := strconv.Unquote(line); err == nil {
			return name
		}
	}
	return line
}

// quoteAlternate writes a path so that git reads it back whatever bytes it has.
func quoteAlternate(name string) string {
	if !strings.ContainsAny(name, "\n\"") && !strings.HasPrefix(name, "#") {
		return name
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(name) {
		switch c := name[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
