package tool

import (
	"io"

	"mgx/internal/guard"
)

// Clean makes program output safe to show to people and models; see [guard.Clean].
func Clean(s string) string { return guard.Clean(s) }

// CleanWriter is a writer that passes on at once what Clean leaves.
func CleanWriter(w io.Writer) io.Writer { return guard.CleanWriter(w) }

// visible is [guard.Visible].
func visible(line string) string { return guard.Visible(line) }

// cut shortens a line to at most n bytes, at a character, and says that it did.
func cut(line string, n int) string {
	if len(line) <= n {
		return line
	}
	return line[:upTo(line, n)] + "…"
}
