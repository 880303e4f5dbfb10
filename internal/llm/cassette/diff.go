package cassette

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a difference that is shown.
const (
	maxDifferences = 6
	maxShown       = 80   // bytes of a value on each side
	maxCounted     = 1000 // differences that are counted at all
)

// differences are where two JSON values differ, as lines "path: old → new".
type differences struct {
	lines []string
	count int
}

// compare finds where the second of two requests differs from the first.
func compare(recorded, made Request) differences {
	var d differences
	if recorded.place() != made.place() {
		d.add("request", strconv.Quote(recorded.place()), strconv.Quote(made.place()))
	}
	was, ok1 := parse(recorded.Body)
	is, ok2 := parse(made.Body)
	if !ok1 || !ok2 {
		d.values("body", recorded.Text+string(recorded.Body), made.Text+string(made.Body))
		return d
	}
	d.values("", was, is)
	return d
}

func (d *differences) add(path, was, is string) {
	if d.count++; len(d.lines) < maxDifferences {
		d.lines = append(d.lines, fmt.Sprintf("%s: %s → %s", path, was, is))
	}
}

func (d *differences) values(path string, was, is any) {
	if d.count >= maxCounted {
		return
	}
	switch was := was.(type) {
	case map[string]any:
		if is, ok := is.(map[string]any); ok {
			d.objects(path, was, is)
			return
		}
	case []any:
		if is, ok := is.([]any); ok {
			d.arrays(path, was, is)
			return
		}
	case string:
		if is, ok := is.(string); ok {
			if mask(was) != mask(is) {
				d.add(path, around(was, is), around(is, was))
			}
			return
		}
	}
	if a, b := show(was), show(is); a != b {
		d.add(path, a, b)
	}
}

func (d *differences) objects(path string, was, is map[string]any) {
	for _, k := range sortedKeys(was, is) {
		a, had := was[k]
		b, has := is[k]
		at := strings.TrimPrefix(path+"."+k, ".")
		switch {
		case !had:
			d.add(at, "absent", show(b))
		case !has:
			d.add(at, show(a), "absent")
		default:
			d.values(at, a, b)
		}
	}
}

func (d *differences) arrays(path string, was, is []any) {
	if len(was) != len(is) {
		d.add(path, counted(was), counted(is))
	}
	for i := range min(len(was), len(is)) {
		d.values(fmt.Sprintf("%s[%d]", path, i), was[i], is[i])
	}
}

func counted(list []any) string {
	if len(list) == 1 {
		return "1 item"
	}
	return fmt.Sprintf("%d items", len(list))
}

// show writes a value in short.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v, 0)
	case map[string]any:
		return fmt.Sprintf("an object of %d fields", len(v))
	case []any:
		return "a list of " + counted(v)
	}
	return fmt.Sprint(v)
}

// around quotes the part of s in which it begins to differ from other.
func around(s, other string) string {
	same := 0
	for same < len(s) && same < len(other) && s[same] == other[same] {
		same++
	}
	return quote(s, max(0, same-maxShown/4))
}

// quote quotes at most maxShown bytes of s from about a place on.
func quote(s string, from int) string {
	for from > 0 && from < len(s) && !utf8.RuneStart(s[from]) {
		from--
	}
	piece, before, after := s[min(from, len(s)):], "", ""
	if from > 0 {
		before = "…"
	}
	if len(piece) > maxShown {
		cut := maxShown
		for cut > 0 && !utf8.RuneStart(piece[cut]) {
			cut--
		}
		piece, after = piece[:cut], "…"
	}
	return before + strconv.Quote(piece) + after
}

// String is a line for each difference, and how many more there are.
func (d differences) String() string {
	text := "  " + strings.Join(d.lines, "\n  ")
	if more := d.count - len(d.lines); more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return text
}
