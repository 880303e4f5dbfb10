package ui

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// screen is where lines go, and below them the live line. What is written is
// written at once, so that nothing else gets in between. Errors are dropped:
// a run does not fail because nobody can watch.
type screen struct {
	w       io.Writer
	live    bool
	drawn   int // columns of the live line that is on the screen now
	drawnAt time.Time
}

// print writes lines in place of the live line.
func (s *screen) print(lines []string, width int) {
	io.WriteString(s.w, s.erase(width)+strings.Join(lines, "\n")+"\n")
}

// draw replaces the live line. It must be narrower than the terminal.
func (s *screen) draw(line string, now time.Time, width int) {
	erase := s.erase(width)
	s.drawn, s.drawnAt = columns(colors.ReplaceAllString(line, "")), now
	io.WriteString(s.w, erase+line)
}

func (s *screen) clear(width int) {
	if erase := s.erase(width); erase != "" {
		io.WriteString(s.w, erase)
	}
}

// erase is what takes the live line off the screen. When the terminal became
// narrower since it was drawn, it takes more than one row.
func (s *screen) erase(width int) string {
	if s.drawn == 0 {
		return ""
	}
	up := (s.drawn - 1) / max(width, 1)
	s.drawn = 0
	if up == 0 {
		return "\r\x1b[K"
	}
	return fmt.Sprintf("\r\x1b[%dA\x1b[J", up)
}

// colors matches what [style.paint] adds.
var colors = regexp.MustCompile(`\x1b\[[0-9;]*m`)
