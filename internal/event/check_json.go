package event

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may lie within one another.
const maxDepth = 32

// checkText finds what a JSON parser would let pass, and readers written in other
// languages would each understand in their own way: bytes that are not UTF-8,
// halves of surrogate pairs, a key that is there twice, nesting without end.
// What is not JSON at all (NaN among it) is left to the parser; of such text it
// promises only to come to an end.
func checkText(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("the data is not valid UTF-8")
	}
	s := scanner{data: data}
	for s.at < len(s.data) {
		if err := s.next(); err != nil {
			return err
		}
	}
	return nil
}

// scanner walks over JSON text. Stack has an entry for each object and array that
// is open: the keys seen in an object, nil in an array.
type scanner struct {
	data  []byte
	at    int
	stack []map[string]bool
	isKey bool // the next string is a key
}

func (s *scanner) next() error {
	c := s.data[s.at]
	s.at++
	switch c {
	case '{', '[':
		if len(s.stack) == maxDepth {
			return fmt.Errorf("the data is nested deeper than %d levels; put it into an artifact", maxDepth)
		}
		s.push(c == '{')
	case '}', ']':
		s.pop()
	case ',':
		s.isKey = s.inObject()
	case '"':
		return s.text()
	}
	return nil
}

func (s *scanner) push(object bool) {
	var keys map[string]bool
	if object {
		keys = make(map[string]bool)
	}
	s.stack = append(s.stack, keys)
	s.isKey = object
}

func (s *scanner) pop() {
	if len(s.stack) > 0 {
		s.stack = s.stack[:len(s.stack)-1]
	}
	s.isKey = false
}

func (s *scanner) inObject() bool {
	return len(s.stack) > 0 && s.stack[len(s.stack)-1] != nil
}

// text passes over a string, whose opening quote is behind it.
func (s *scanner) text() error {
	start, escaped := s.at-1, false
	for s.at < len(s.data) && s.data[s.at] != '"' {
		if s.data[s.at] != '\\' {
			s.at++
			continue
		}
		escaped = true
		if err := s.escape(); err != nil {
			return err
		}
	}
	s.at = min(s.at+1, len(s.data))
	if !s.isKey {
		return nil
	}
	s.isKey = false
	return s.key(s.data[start:s.at], escaped)
}

// key remembers a key, quotes included, as what it means.
func (s *scanner) key(quoted []byte, escaped bool) error {
	name := string(quoted)
	if escaped {
		var plain string
		if json.Unmarshal(quoted, &plain) != nil {
			return nil // not JSON
		}
		name = `"` + plain + `"`
	}
	keys := s.stack[len(s.stack)-1]
	if keys[name] {
		return fmt.Errorf("the key %s is in an object twice", clip(name))
	}
	keys[name] = true
	return nil
}

// escape passes over a backslash and what belongs to it.
func (s *scanner) escape() error {
	unit, ok := s.unit()
	switch {
	case !ok:
		s.at = min(s.at+2, len(s.data))
		return nil
	case unit < 0xD800 || unit > 0xDFFF:
		s.at += 6
		return nil
	}
	s.at += 6
	if low, ok := s.unit(); unit > 0xDBFF || !ok || low < 0xDC00 || low > 0xDFFF {
		return errors.New("the data has half of a surrogate pair, which is no character")
	}
	s.at += 6
	return nil
}

// unit reads the 16 bits of an escape such as \u00e9 that begins here.
func (s *scanner) unit() (n int, ok bool) {
	rest := s.data[s.at:]
	if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
		return 0, false
	}
	for _, c := range rest[2:6] {
		digit, ok := hexDigit(c)
		if !ok {
			return 0, false
		}
		n = n<<4 | digit
	}
	return n, true
}

func hexDigit(c byte) (int, bool) {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0'), true
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10, true
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10, true
	}
	return 0, false
}
