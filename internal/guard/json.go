package guard

import (
	"encoding/json"
	"strings"
)

// redact hides the needles in a text that may be JSON. A text without a needle
// and without a backslash, behind which one could hide, costs one pass.
func (n *needles) redact(s string) string {
	out, document := n.shaped(s)
	if document && n.found(out) {
		return `"` + Mask + `"` // its syntax spells a secret
	}
	return out
}

// shaped is redact that leaves a document's syntax as it is.
func (n *needles) shaped(s string) (out string, document bool) {
	plain := !n.found(s)
	switch {
	case plain && strings.IndexByte(s, '\\') < 0, isFixed(s):
		return s, false
	case isDocument(s):
		return n.document(s, plain), true
	case plain:
		return s, false
	}
	return n.text(s), false
}

// isDocument reports whether s is a JSON object, array or string. A bare number
// or word is taken for text.
func isDocument(s string) bool {
	start := strings.TrimLeft(s, " \t\r\n")
	return start != "" && strings.IndexByte(`{["`, start[0]) >= 0 && json.Valid([]byte(s))
}

// document hides the needles in the strings and numbers of valid JSON. A number
// becomes 0, so that whoever decodes the document still finds a number. In a document
// in which there are none as it stands they can only be behind a backslash.
func (n *needles) document(s string, plain bool) string {
	var b strings.Builder
	from := 0 // up to here it is written
	for i := 0; i < len(s); {
		var end int
		var clean string
		switch c := s[i]; {
		case c == '"':
			end = stringEnd(s, i)
			if clean = s[i:end]; !plain || strings.IndexByte(clean, '\\') >= 0 {
				clean = n.quoted(clean)
			}
		case plain:
			i++
			continue
		case c == '-' || '0' <= c && c <= '9':
			end = numberEnd(s, i)
			clean = n.number(s[i:end])
		default:
			i++
			continue
		}
		if clean != s[i:end] {
			b.WriteString(s[from:i])
			b.WriteString(clean)
			from = end
		}
		i = end
	}
	if from == 0 {
		return s
	}
	b.WriteString(s[from:])
	return b.String()
}

// stringEnd returns the index after the string that starts at i.
func stringEnd(s string, i int) int {
	for i++; s[i] != '"'; i++ {
		if s[i] == '\\' {
			i++
		}
	}
	return i + 1
}

// numberEnd returns the index after the number that starts at i.
func numberEnd(s string, i int) int {
	for i < len(s) && strings.IndexByte("+-.eE0123456789", s[i]) >= 0 {
		i++
	}
	return i
}

// quoted hides the needles in one JSON string as it reads, and writes it anew
// only if there were any.
func (n *needles) quoted(q string) string {
	inner := q[1 : len(q)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		if !n.found(inner) || isFixed(inner) {
			return q
		}
		return `"` + n.text(inner) + `"`
	}
	var read string
	if json.Unmarshal([]byte(q), &read) != nil {
		return `"` + Mask + `"`
	}
	clean := n.redact(read)
	if clean == read {
		return q
	}
	return `"` + jsonEscape(clean, false) + `"`
}

func (n *needles) number(s string) string {
	if n.found(s) {
		return "0"
	}
	return s
}
