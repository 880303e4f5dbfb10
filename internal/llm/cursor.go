package llm

import (
	"encoding/json"
	"unicode/utf8"
)

// Cursor reads the JSON of one event of a stream as it comes, without reflection
// and without keeping any of it. Streams have thousands of events, nearly all of
// the same few shapes, and encoding/json takes several times as long for each.
//
// It is only a short cut. What it accepts, encoding/json accepts and takes for
// the same. At anything out of the ordinary, such as a name that encoding/json
// might match in another case, or a number that is none, it fails, and who uses it
// asks encoding/json. The caller looks for names that come twice.
//
//	for c.Object(); c.Field(); {
//		switch string(c.Name) {
//		case "text":
//			text = c.Text()
//		default:
//			c.Skip()
//		}
//	}
//	ok := c.End()
type Cursor struct {
	Name []byte // of the field; valid until the next one

	data   []byte
	at     int
	first  bool // nothing of the innermost object or list was read yet
	failed bool
}

// NewCursor returns a cursor at the beginning of data.
func NewCursor(data []byte) Cursor { return Cursor{data: data} }

// Fail has the cursor fail. Then nothing is read any more.
func (c *Cursor) Fail() { c.failed, c.at = true, len(c.data) }

// End reports whether all of the data was read and nothing out of the ordinary.
func (c *Cursor) End() bool {
	c.peek()
	return !c.failed && c.at == len(c.data)
}

// Seen are the fields of an object that came, each with a bit of its own.
type Seen uint32

// Again notes that a field came and reports whether it had before. Of fields that
// come twice encoding/json has rules of its own.
func (s *Seen) Again(bit uint) bool {
	before := *s
	*s |= 1 << bit
	return before == *s
}

// peek skips space and returns the next byte, 0 at the end.
func (c *Cursor) peek() byte {
	for ; c.at < len(c.data); c.at++ {
		switch b := c.data[c.at]; b {
		case ' ', '\t', '\n', '\r':
		default:
			return b
		}
	}
	return 0
}

func (c *Cursor) take(b byte) {
	if c.peek() != b {
		c.Fail()
		return
	}
	c.at++
}

// Object enters an object.
func (c *Cursor) Object() {
	c.take('{')
	c.first = true
}

// Field goes to the value of the next field, or leaves the object.
func (c *Cursor) Field() bool {
	if !c.more('}') {
		return false
	}
	c.Name = c.name()
	c.take(':')
	return !c.failed
}

// List enters a list.
func (c *Cursor) List() {
	c.take('[')
	c.first = true
}

// Element goes to the next element of a list, or leaves it.
func (c *Cursor) Element() bool { return c.more(']') }

// more reads up to the next field or element, or the end of what holds them.
func (c *Cursor) more(end byte) bool {
	first := c.first
	c.first = false
	switch b := c.peek(); {
	case c.failed:
		return false
	case b == end:
		c.at++
		return false
	case first:
	case b == ',':
		c.at++
	default:
		c.Fail()
	}
	return !c.failed
}

// name reads the name of a field, in small letters, digits and such only: in
// others encoding/json might see a name that it knows.
func (c *Cursor) name() []byte {
	c.take('"')
	for i := c.at; i < len(c.data); i++ {
		switch b := c.data[i]; {
		case b == '"':
			name := c.data[c.at:i]
			c.at = i + 1
			return name
		case b < ' ' || b == '\\' || b >= utf8.RuneSelf || 'A' <= b && b <= 'Z':
			c.Fail()
			return nil
		}
	}
	c.Fail()
	return nil
}

// Null takes null, if that is next, and reports whether it was.
func (c *Cursor) Null() bool {
	if c.peek() != 'n' {
		return false
	}
	c.literal("null")
	return true
}

func (c *Cursor) literal(word string) {
	if len(c.data)-c.at < len(word) || string(c.data[c.at:c.at+len(word)]) != word {
		c.Fail()
		return
	}
	c.at += len(word)
}

// Text takes a text; null is none.
func (c *Cursor) Text() string {
	if c.Null() {
		return ""
	}
	from := c.at
	plain := c.quoted()
	if c.failed {
		return ""
	}
	quoted := c.data[from:c.at]
	if plain {
		return string(quoted[1 : len(quoted)-1])
	}
	return c.unquote(quoted)
}

// quoted reads a text and reports whether it means what it says, byte for byte.
func (c *Cursor) quoted() (plain bool) {
	c.take('"')
	plain = true
	ascii := true
	from := c.at
	for i := c.at; i < len(c.data); i++ {
		switch b := c.data[i]; {
		case b == '"':
			c.at = i + 1
			return plain && (ascii || utf8.Valid(c.data[from:i]))
		case b == '\\':
			plain = false
			i++ // what follows is checked by whoever unquotes
			if i < len(c.data) && !escapes(c.data[i:]) {
				c.Fail()
				return false
			}
		case b < ' ':
			c.Fail()
			return false
		case b >= utf8.RuneSelf:
			ascii = false
		}
	}
	c.Fail()
	return false
}

// escapes reports whether what follows a backslash is what may.
func escapes(after []byte) bool {
	switch after[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		if len(after) < 5 {
			return false
		}
		for _, b := range after[1:5] {
			if (b < '0' || b > '9') && (b|0x20 < 'a' || b|0x20 > 'f') {
				return false
			}
		}
		return true
	}
	return false
}

// unquote undoes escapes. What needs thought is left to encoding/json.
func (c *Cursor) unquote(quoted []byte) string {
	text := make([]byte, 0, len(quoted))
	for i := 1; i < len(quoted)-1; i++ {
		b := quoted[i]
		if b >= utf8.RuneSelf || b == '\\' && quoted[i+1] == 'u' {
			var s string
			if json.Unmarshal(quoted, &s) != nil {
				c.Fail()
			}
			return s
		}
		if b == '\\' {
			i++
			b = unescaped(quoted[i])
		}
		text = append(text, b)
	}
	return string(text)
}

func unescaped(b byte) byte {
	switch b {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return b
}

// Int takes a small whole number; null is 0.
func (c *Cursor) Int() int {
	if c.Null() {
		return 0
	}
	from := c.at
	c.number()
	digits := c.data[from:c.at]
	if c.failed || len(digits) > 9 {
		c.Fail()
		return 0
	}
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' {
			c.Fail()
			return 0
		}
		n = 10*n + int(d-'0')
	}
	return n
}

// Skip takes any value.
func (c *Cursor) Skip() { c.skip(32) }

func (c *Cursor) skip(depth int) {
	if depth == 0 {
		c.Fail()
		return
	}
	switch b := c.peek(); b {
	case '"':
		c.quoted()
	case '{':
		for c.Object(); c.more('}'); {
			c.quotedName()
			c.take(':')
			c.skip(depth - 1)
		}
	case '[':
		for c.List(); c.Element(); {
			c.skip(depth - 1)
		}
	case 't':
		c.literal("true")
	case 'f':
		c.literal("false")
	case 'n':
		c.literal("null")
	default:
		c.number()
	}
}

// quotedName reads the name of a field that nobody asks for.
func (c *Cursor) quotedName() {
	if c.peek() != '"' {
		c.Fail()
		return
	}
	c.quoted()
}

// number reads a number as RFC 8259 writes it.
func (c *Cursor) number() {
	digits := func() {
		from := c.at
		for c.at < len(c.data) && c.data[c.at] >= '0' && c.data[c.at] <= '9' {
			c.at++
		}
		if c.at == from {
			c.Fail()
		}
	}
	next := func(any string) bool {
		for i := range len(any) {
			if c.at < len(c.data) && c.data[c.at] == any[i] {
				c.at++
				return true
			}
		}
		return false
	}
	c.peek()
	next("-")
	if !next("0") {
		digits()
	}
	if next(".") {
		digits()
	}
	if next("eE") {
		next("+-")
		digits()
	}
}
