package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"mgx/internal/llm"
)

// ordered is a JSON object whose fields are in order.
type ordered []any

// object makes one of names and values in turn.
func object(fields ...any) ordered { return fields }

func (o ordered) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i := 0; i < len(o); i += 2 {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, o[i].(string))
		out = append(out, ':')
		out = append(out, llm.MarshalWire(o[i+1])...)
	}
	return append(out, '}'), nil
}

// appendString appends a text as a JSON string.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return append(out, llm.MarshalWire(s)...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}

// fields are those of a JSON object by their exact names.
type fields map[string]json.RawMessage

// fieldsOf takes an object apart; null counts as a field that is not there.
func fieldsOf(raw json.RawMessage, what string) (fields, error) {
	list, err := llm.Fields(raw)
	if err != nil {
		return nil, bad("invalid_json", fmt.Sprintf("%s cannot be read: %v", what, err))
	}
	f := make(fields, len(list))
	for _, field := range list {
		if string(field.Value) != "null" {
			f[field.Name] = field.Value
		}
	}
	return f, spelled(list, slices.Values(telling))
}

// telling are fields within objects by which is seen what may not be asked for.
var telling = []string{"type", "role", "source", "file_id", "audio"}

// spelled refuses names that differ from each other, or from a known one, only in
// case. Many servers, all that decode with Go's encoding/json among them, take such
// names for the same, so they would read what was not looked at here.
func spelled(list []llm.Field, known iter.Seq[string]) error {
	for i, f := range list {
		if !strings.ContainsFunc(f.Name, func(r rune) bool { return r >= 'A' && r <= 'Z' || r > 0x7f }) {
			continue
		}
		same := func(name string) bool { return name != f.Name && strings.EqualFold(name, f.Name) }
		for name := range known {
			if same(name) {
				return bad("invalid_field", fmt.Sprintf("the field %q is spelled %q", llm.Clean(f.Name), name))
			}
		}
		for j, other := range list {
			if i != j && same(other.Name) {
				return bad("invalid_field", fmt.Sprintf("the fields %q and %q differ only in case", llm.Clean(f.Name), llm.Clean(other.Name)))
			}
		}
	}
	return nil
}

// text is a field that is a string; empty when it is not there or no string.
func (f fields) text(name string) string {
	var s string
	json.Unmarshal(f[name], &s)
	return s
}

// list is a field that is an array.
func (f fields) list(name string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	if raw := f[name]; len(raw) > 0 && json.Unmarshal(raw, &all) != nil {
		return nil, bad("invalid_type", name+" must be an array")
	}
	return all, nil
}

func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

func isTrue(raw json.RawMessage) bool { return string(raw) == "true" }

// empty reports whether a value says nothing: false, 0, "", [] or {}.
func empty(raw json.RawMessage) bool {
	switch string(bytes.Join(bytes.Fields(raw), nil)) {
	case "", "null", "false", "0", "0.0", `""`, "[]", "{}":
		return true
	}
	return false
}

// into decodes a value of a field.
func into[T any](raw json.RawMessage, name, form string, v *T) error {
	if json.Unmarshal(raw, v) != nil {
		return bad("invalid_type", name+" must be "+form)
	}
	return nil
}

func appendInt(out []byte, n int) []byte { return strconv.AppendInt(out, int64(n), 10) }
