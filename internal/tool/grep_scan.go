package tool

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"regexp"
	"strings"
)

// scanFiles is grep without ripgrep. It skips binary and huge files, and the
// directories that walk skips.
func scanFiles(ctx context.Context, p place, re *regexp.Regexp, include func(string) bool, s *search) error {
	if info, err := p.root.Stat(p.name); err == nil && !info.IsDir() {
		return scanFile(p, re, s)
	}
	limited, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	whole := walk(limited, p, func(f place, e fs.DirEntry) bool {
		if e.Type().IsRegular() && include(f.name) {
			_ = scanFile(f, re, s) // one that cannot be read has no matches to show
		}
		return !s.more
	})
	s.early = !whole && !s.more
	return ctx.Err()
}

func scanFile(p place, re *regexp.Regexp, s *search) error {
	f, info, err := open(p)
	if err != nil {
		return fileError(p, err)
	}
	defer f.Close()
	if info.Size() > maxSearched {
		s.skipped++
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSearched))
	if err != nil {
		return fileError(p, err)
	}
	if bytes.IndexByte(b[:min(len(b), 8<<10)], 0) < 0 {
		scanText(p, string(b), re, s)
	}
	return nil
}

// scanText adds the matching lines of one file, each with its context.
func scanText(p place, content string, re *regexp.Regexp, s *search) {
	if !anchored(re) && !re.MatchString(content) {
		return // most files do not match at all
	}
	lines := strings.Split(strings.TrimSuffix(content, "\n"), "\n")
	shown, matched := -1, -1 // indices of the last line added and the last that matched
	for i, text := range lines {
		m := re.FindStringIndex(strings.TrimSuffix(text, "\r"))
		switch {
		case m != nil && s.full():
			return
		case m != nil:
			for j := max(shown+1, i-s.context); j < i; j++ {
				s.add(p, j+1, lines[j], -1)
			}
			s.add(p, i+1, text, m[0])
			shown, matched = i, i
		case matched >= 0 && i-matched <= s.context:
			s.add(p, i+1, text, -1)
			shown = i
		}
	}
}

// anchored reports whether an expression may match a line on its own but not
// the whole text that holds the line.
func anchored(re *regexp.Regexp) bool {
	e := re.String()
	return strings.ContainsAny(e, "^$") || strings.Contains(e, `\A`) || strings.Contains(e, `\z`) || strings.Contains(e, `\B`)
}
