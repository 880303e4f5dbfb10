package guard

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes program output safe to show to people and models. It removes
// terminal control sequences (CSI, OSC and the other ECMA-48 strings), control
// characters except tab and newline, and characters that hide or reorder text
// (bidi controls, zero-width, variation selectors, tags). A line that was drawn
// over by carriage returns or backspaces, as progress bars are, keeps what was
// drawn last. Bytes that are not UTF-8 become U+FFFD. The result is valid UTF-8,
// and cleaning it again changes nothing.
func Clean(s string) string {
	if plain(s) {
		return s
	}
	var b strings.Builder
	c := Cleaner{To: func(line string) { b.WriteString(line) }}
	c.Feed([]byte(s))
	c.Close()
	return b.String()
}

// CleanWriter is a writer that passes on at once what Clean leaves.
func CleanWriter(w io.Writer) io.Writer {
	c := &cleanWriter{}
	c.To = func(s string) { _, c.err = io.WriteString(w, s) }
	return c
}

type cleanWriter struct {
	Cleaner
	err error
}

func (c *cleanWriter) Write(p []byte) (int, error) {
	c.Feed(p)
	c.Flush()
	return len(p), c.err
}

// plain is the quick way out for text that has nothing to remove.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || c == 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// Hidden reports whether a character is invisible or changes how the text
// around it is shown or read. Control characters are not its business.
func Hidden(r rune) bool {
	switch {
	case r < 0xad:
		return false
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5:
		return true
	case r >= 0x180b && r <= 0x180f: // Mongolian selectors and vowel separator
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r == 0x3164, r >= 0xfe00 && r <= 0xfe0f, r == 0xfeff, r == 0xffa0, r >= 0xfff0 && r <= 0xfffb:
		return true
	case r >= 0x1bca0 && r <= 0x1bca3, r >= 0x1d173 && r <= 0x1d17a: // controls of shorthand and of music
		return true
	}
	return r >= 0xe0000 && r <= 0xe0fff // tags and variation selectors supplement
}

// Visible shows one line of a file so that nothing in it is lost or acts: what
// Clean would remove appears as <U+XXXX>, other bytes than UTF-8 as U+FFFD.
func Visible(line string) string {
	if plain(line) {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		if r != '\t' && unicode.IsControl(r) || Hidden(r) || r == 0x2028 || r == 0x2029 {
			fmt.Fprintf(&b, "<U+%04X>", r)
			continue
		}
		b.WriteRune(r) // an invalid byte ranges as U+FFFD
	}
	return b.String()
}

// VisibleLines is Visible for a text, whose line ends stay.
func VisibleLines(text string) string {
	if plain(text) {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		words := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if !strings.HasSuffix(line, "\n") {
			words = line
		}
		b.WriteString(Visible(words))
		b.WriteString(line[len(words):])
	}
	return b.String()
}

const (
	maxLine    = 64 << 10 // a longer line of output is passed on in pieces of about this
	maxControl = 4 << 10  // a longer control string is no control string
)

// Cleaner is Clean for output that comes in pieces. It passes on whole lines,
// each once, with its newline; a line is held until it ends.
type Cleaner struct {
	To func(line string)

	pending []byte // start of a character whose end has not come
	state   state
	control []byte // text of an unfinished control string
	line    []byte
	over    bool // a carriage return came: the next character starts the line anew
	begun   bool // a part of the line was passed on already
}

type state uint8

const (
	ground    state = iota
	escape          // after ESC
	escapeMid       // ESC with intermediate bytes
	csi             // control sequence: parameters, then one final byte
	str             // OSC, DCS, SOS, PM or APC: text until BEL or ST
	strEscape       // ESC inside of it
)

// Feed takes the next piece.
func (c *Cleaner) Feed(p []byte) {
	if len(c.pending) > 0 {
		p = append(c.pending, p...)
		c.pending = nil
	}
	for len(p) > 0 {
		if n := c.run(p); n > 0 {
			p = p[n:]
			continue
		}
		if !utf8.FullRune(p) {
			c.pending = append([]byte(nil), p...)
			return
		}
		r, n := utf8.DecodeRune(p)
		p = p[n:]
		c.step(r)
	}
}

// run takes the printable ASCII that p begins with, which is most of all output,
// at once.
func (c *Cleaner) run(p []byte) int {
	if c.state != ground {
		return 0
	}
	n := 0
	for n < len(p) && n < maxLine-len(c.line) && (p[n] >= ' ' && p[n] < 0x7f || p[n] == '\t') {
		n++
	}
	if n > 0 {
		c.draw(p[:n])
	}
	return n
}

// draw adds text to the line, over what a carriage return went back to.
func (c *Cleaner) draw(p []byte) {
	if c.over {
		if c.line, c.over = c.line[:0], false; c.begun {
			c.line = append(c.line, '\n')
		}
	}
	if c.line = append(c.line, p...); len(c.line) >= maxLine {
		c.Flush()
	}
}

// Close ends the output and passes on what is held.
func (c *Cleaner) Close() {
	for range c.pending {
		c.step(utf8.RuneError)
	}
	c.pending = nil
	c.abandon()
	c.Flush()
}

func (c *Cleaner) step(r rune) {
	switch c.state {
	case ground:
		c.plain(r)
	case escape:
		c.afterEscape(r)
	case escapeMid:
		if r < 0x20 || r > 0x2f {
			c.state = ground
			if r < 0x30 || r > 0x7e {
				c.plain(r)
			}
		}
	case csi:
		switch {
		case r >= 0x40 && r <= 0x7e:
			c.state = ground
		case r < 0x20 || r > 0x3f:
			c.state = ground
			c.plain(r)
		}
	case str:
		c.inString(r)
	case strEscape:
		c.state = str
		if r == '\\' {
			c.control, c.state = c.control[:0], ground
			return
		}
		c.abandon()
		c.afterEscape(r)
	}
}

func (c *Cleaner) afterEscape(r rune) {
	switch {
	case r == '[':
		c.state = csi
	case r == ']', r == 'P', r == 'X', r == '^', r == '_':
		c.state = str
	case r >= 0x20 && r <= 0x2f:
		c.state = escapeMid
	case r >= 0x30 && r <= 0x7e:
		c.state = ground
	default:
		c.state = ground
		c.plain(r)
	}
}

func (c *Cleaner) inString(r rune) {
	switch {
	case r == 0x07 || r == 0x9c:
		c.control, c.state = c.control[:0], ground
	case r == 0x1b:
		c.state = strEscape
	case r == '\n' || len(c.control) > maxControl:
		c.abandon()
		c.plain(r)
	case !unicode.IsControl(r):
		c.control = utf8.AppendRune(c.control, r)
	}
}

// abandon gives up on a control string that does not end: its text is text, so
// that a stray sequence cannot swallow the rest of the output.
func (c *Cleaner) abandon() {
	held := c.control
	c.control, c.state = nil, ground
	for _, r := range string(held) {
		c.plain(r)
	}
}

func (c *Cleaner) plain(r rune) {
	switch {
	case r == '\n' || r == 0x2028 || r == 0x2029 || r == 0x85:
		c.line, c.over = append(c.line, '\n'), false
		c.Flush()
	case r == '\r':
		c.over = true
	case r == '\b':
		_, n := utf8.DecodeLastRune(c.line)
		c.line = c.line[:len(c.line)-n]
	case r == 0x1b:
		c.state = escape
	case r == 0x9b:
		c.state = csi
	case r == 0x90, r == 0x98, r == 0x9d, r == 0x9e, r == 0x9f:
		c.state = str
	case r != '\t' && unicode.IsControl(r), Hidden(r):
	default:
		c.draw(utf8.AppendRune(nil, r))
	}
}

// Flush passes on the line so far, without waiting for its end.
func (c *Cleaner) Flush() {
	if n := len(c.line); n > 0 {
		c.begun = c.line[n-1] != '\n'
		c.To(string(c.line))
		c.line = c.line[:0]
	}
}
