package llm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Field is a field of a JSON object, as it is written.
type Field struct {
	Name  string
	Value json.RawMessage
	start int // of Value in the object
}

// maxFields bounds the fields of an object that Fields takes apart; few are so few
// that a map of them does not pay.
const (
	maxFields = 4096
	few       = 16
)

// Fields takes a JSON object apart. Unlike encoding/json it tells names apart by
// case and refuses an object that has one twice: of such an object every
// reader sees something else.
func Fields(object []byte) ([]Field, error) {
	if !json.Valid(object) {
		return nil, fmt.Errorf("it is not JSON")
	}
	at := space(object, 0)
	if object[at] != '{' {
		return nil, fmt.Errorf("it is not a JSON object")
	}
	var fields []Field
	var seen map[string]bool // when there are many
	for at = space(object, at+1); object[at] != '}'; {
		end := skip(object, at)
		name := unquoted(object[at:end])
		at = space(object, space(object, end)+1) // behind the colon
		end = skip(object, at)
		if len(fields) == few {
			seen = map[string]bool{}
			for _, f := range fields {
				seen[f.Name] = true
			}
		}
		if seen[name] || len(fields) < few && slices.ContainsFunc(fields, func(f Field) bool { return f.Name == name }) {
			return nil, fmt.Errorf("it has the field %q twice", cutText(name, 100))
		}
		if len(fields) == maxFields {
			return nil, fmt.Errorf("it has more than %d fields", maxFields)
		}
		if seen != nil {
			seen[name] = true
		}
		fields = append(fields, Field{name, object[at:end:end], at})
		if at = space(object, end); object[at] == ',' {
			at = space(object, at+1)
		}
	}
	return fields, nil
}

// without is an object whose fields are some of those of another, in their order.
func without(fields []Field, names ...string) ([]byte, []Field) {
	out, kept := []byte{'{'}, make([]Field, 0, len(fields))
	for _, f := range fields {
		if slices.Contains(names, f.Name) {
			continue
		}
		if len(kept) > 0 {
			out = append(out, ',')
		}
		out = append(append(out, MarshalWire(f.Name)...), ':')
		f.start = len(out)
		out = append(out, f.Value...)
		kept = append(kept, f)
	}
	return append(out, '}'), kept
}

// SetFields is an object with some fields set, the others and everything between
// them byte for byte as they were.
func SetFields(object []byte, set ...Field) ([]byte, error) {
	fields, err := Fields(object)
	if err != nil {
		return nil, err
	}
	return setFields(object, fields, set...), nil
}

// setFields is SetFields of an object that was taken apart.
func setFields(object []byte, fields []Field, set ...Field) []byte {
	out := make([]byte, 0, len(object)+256)
	at := bytes.IndexByte(object, '{') + 1
	out = append(out, object[:at]...)
	added := false
	for _, s := range set {
		if slices.ContainsFunc(fields, func(f Field) bool { return f.Name == s.Name }) {
			continue
		}
		out = append(append(out, MarshalWire(s.Name)...), ':')
		out = append(append(out, s.Value...), ',')
		added = true
	}
	if added && len(fields) == 0 {
		out = out[:len(out)-1] // no comma before the end
	}
	for _, f := range fields {
		if i := slices.IndexFunc(set, func(s Field) bool { return s.Name == f.Name }); i >= 0 {
			out = append(append(out, object[at:f.start]...), set[i].Value...)
			at = f.start + len(f.Value)
		}
	}
	return append(out, object[at:]...)
}

// space returns where the white space that begins at a position ends.
func space(valid []byte, at int) int {
	for valid[at] == ' ' || valid[at] == '\n' || valid[at] == '\t' || valid[at] == '\r' {
		at++
	}
	return at
}

// skip returns where the value that begins at a position of valid JSON ends.
func skip(valid []byte, at int) int {
	switch valid[at] {
	case '"':
		return skipString(valid, at)
	case '{', '[':
		for depth := 0; ; at++ {
			switch valid[at] {
			case '"':
				at = skipString(valid, at) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
		}
	}
	for at < len(valid) && bytes.IndexByte([]byte(" \n\t\r,]}"), valid[at]) < 0 {
		at++
	}
	return at
}

func skipString(valid []byte, at int) int {
	for at++; valid[at] != '"'; at++ {
		if valid[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func unquoted(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	json.Unmarshal(raw, &s) // valid JSON
	return s
}
