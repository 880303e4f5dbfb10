package git

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	maxBorrowed = 64 // object directories of one repository
	maxDepth    = 5  // of alternates of alternates, as in git
	mostInStore = 10_000
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
	if err := isStore(dir); err != nil {
		return nil, err
	}
	seen = append(seen, dir)
	text, err := readSide(dir, "info/alternates")
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

// ofStore matches what git makes in an object directory: objects by the first byte of
// their names, packs, what it knows of both, and what is being written.
var ofStore = regexp.MustCompile(`^([0-9a-f]{2}|pack|info|tmp_.*|incoming-.*|(maintenance|schedule)\.lock)$`)

// isStore refuses a directory in which there is anything else. A repository that
// somebody else made can name any directory of the machine, and agents see all of it.
func isStore(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(mostInStore)
	if err != nil && err != io.EOF {
		return err
	}
	for _, name := range names {
		if !ofStore.MatchString(name) {
			return fmt.Errorf("%s is no directory of objects alone: it has %q", dir, name)
		}
	}
	if len(names) == mostInStore {
		return fmt.Errorf("%s has %d entries; git prune removes what writing has left", dir, mostInStore)
	}
	return nil
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
