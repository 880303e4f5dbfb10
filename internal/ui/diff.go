package ui

import (
	"io"
	"strings"

	"mgx/internal/guard"
)

// Diff prints a unified diff with colours. To anything but a terminal it is
// written byte for byte, so that it can be applied, unless color is [On].
func Diff(w io.Writer, text string, color Choice) error {
	s := styleOf(w, color, 0)
	if !s.color && !isTerminal(w) {
		_, err := io.WriteString(w, text)
		return err
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(s.diffLine(strings.TrimSuffix(line, "\n")) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// diffLine cleans and colours one line. It keeps tabs, and is not cut.
func (s style) diffLine(line string) string {
	parts := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
	for i, part := range parts {
		parts[i] = clean(guard.Visible(part)) // a reviewer must see what hides
	}
	return s.paint(diffTint(line), strings.Join(parts, "\t"))
}

func diffTint(line string) tint {
	for _, head := range []string{"diff ", "index ", "--- ", "+++ ", "new file", "deleted file", "rename ", "similarity ", "old mode", "new mode", "Binary "} {
		if strings.HasPrefix(line, head) {
			return bold
		}
	}
	switch {
	case strings.HasPrefix(line, "@@"):
		return cyan
	case strings.HasPrefix(line, "+"):
		return green
	case strings.HasPrefix(line, "-"):
		return red
	}
	return none
}
