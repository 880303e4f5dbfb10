package ui

import (
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// vt is a small terminal: it wraps at its width and knows \r, \n, ESC[K, ESC[J,
// ESC[nA and ESC[…m. Anything else that is not printable is a fault.
type vt struct {
	mu       sync.Mutex
	width    int
	rows     [][]rune
	row, col int
	fault    string
}

func newVT(width int) *vt { return &vt{width: width, rows: make([][]rune, 1)} }

func (t *vt) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := string(b)
	for s != "" {
		if strings.HasPrefix(s, "\x1b[") {
			s = t.control(s[2:])
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		t.rune(r)
		s = s[size:]
	}
	return len(b), nil
}

func (t *vt) control(s string) string {
	end := strings.IndexAny(s, "ABCDEFGHJKSTfmnsu@")
	if end < 0 {
		t.fault = "unfinished sequence " + strconv.Quote(s)
		return ""
	}
	n, _ := strconv.Atoi(s[:end])
	switch s[end] {
	case 'm':
	case 'K':
		t.rows[t.row] = t.rows[t.row][:min(t.col, len(t.rows[t.row]))]
	case 'J':
		t.rows = t.rows[:t.row+1]
		t.rows[t.row] = t.rows[t.row][:min(t.col, len(t.rows[t.row]))]
	case 'A':
		t.row = max(0, t.row-n)
	default:
		t.fault = "sequence " + strconv.Quote(s[:end+1])
	}
	return s[end+1:]
}

func (t *vt) rune(r rune) {
	switch {
	case r == '\r':
		if t.col >= t.width {
			t.fault = "a full row that goes on: some terminals have wrapped by now"
		}
		t.col = 0
	case r == '\n':
		t.row, t.col = t.row+1, 0
		for len(t.rows) <= t.row {
			t.rows = append(t.rows, nil)
		}
	case r < ' ' || r >= 0x7f && r < 0xa0:
		t.fault = "control character " + strconv.QuoteRune(r)
	default:
		t.put(r)
	}
}

// put writes a cell; wide characters are followed by a zero rune.
func (t *vt) put(r rune) {
	w := runeColumns(r)
	if w == 0 {
		return
	}
	if t.col+w > t.width {
		t.rune('\n')
		t.col = 0
	}
	row := t.rows[t.row]
	for len(row) < t.col+w {
		row = append(row, ' ')
	}
	row[t.col] = r
	if w == 2 {
		row[t.col+1] = 0
	}
	t.rows[t.row] = row
	t.col += w
}

// screen is what can be read, without the spaces at the ends of lines.
func (t *vt) screen() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for _, r := range t.rows {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(r), "\x00", ""), " "))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}
