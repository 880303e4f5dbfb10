package gemini

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"mgx/internal/llm"
)

// schema is the subset of OpenAPI's that the API takes; with any other keyword
// it refuses the whole request (ai.google.dev/api/caching#Schema).
type schema struct {
	Type          string             `json:"type,omitempty"`
	Format        string             `json:"format,omitempty"`
	Title         string             `json:"title,omitempty"`
	Description   string             `json:"description,omitempty"`
	Nullable      bool               `json:"nullable,omitempty"`
	Enum          []string           `json:"enum,omitempty"`
	Items         *schema            `json:"items,omitempty"`
	Properties    map[string]*schema `json:"properties,omitempty"`
	Required      []string           `json:"required,omitempty"`
	AnyOf         []*schema          `json:"anyOf,omitempty"`
	Minimum       any                `json:"minimum,omitempty"`
	Maximum       any                `json:"maximum,omitempty"`
	MinItems      any                `json:"minItems,omitempty"`
	MaxItems      any                `json:"maxItems,omitempty"`
	MinLength     any                `json:"minLength,omitempty"`
	MaxLength     any                `json:"maxLength,omitempty"`
	MinProperties any                `json:"minProperties,omitempty"`
	MaxProperties any                `json:"maxProperties,omitempty"`
	Pattern       string             `json:"pattern,omitempty"`
}

// Bounds of a translated schema: how deep it goes, which also ends schemas that
// contain themselves, and how many schemas it may become.
const (
	maxDepth = 16
	maxNodes = 5000
)

// parametersOf translates the schema of a tool's arguments. A tool without any
// has none: the API refuses an object without properties.
func parametersOf(raw json.RawMessage) json.RawMessage {
	out := translate(raw)
	if out == nil || len(out.Properties) == 0 {
		return nil
	}
	return llm.MarshalWire(out)
}

func schemaOf(raw json.RawMessage) json.RawMessage { return llm.MarshalWire(translate(raw)) }

func translate(raw json.RawMessage) *schema {
	root := llm.DecodeSchema(raw)
	if root == nil {
		return &schema{Type: "OBJECT"}
	}
	t := &translator{root: root}
	return t.schema(root, 0)
}

type translator struct {
	root  map[string]any
	nodes int
}

// schema translates one schema. What the subset cannot say is left out: it then
// allows more than before, and never less. Where a schema goes too deep, anything
// of its type goes.
func (t *translator) schema(in map[string]any, depth int) *schema {
	t.nodes++
	in = t.resolve(in)
	out := &schema{Title: text(in, "title"), Description: text(in, "description"), Pattern: text(in, "pattern")}
	out.setType(in)
	out.setFormat(text(in, "format"))
	out.setEnum(in)
	for _, bound := range []struct {
		name string
		into *any
	}{
		{"minimum", &out.Minimum},
		{"maximum", &out.Maximum},
		{"minItems", &out.MinItems},
		{"maxItems", &out.MaxItems},
		{"minLength", &out.MinLength},
		{"maxLength", &out.MaxLength},
		{"minProperties", &out.MinProperties},
		{"maxProperties", &out.MaxProperties},
	} {
		if n, ok := in[bound.name].(json.Number); ok {
			*bound.into = n
		}
	}
	if depth >= maxDepth || t.nodes > maxNodes {
		return out
	}
	t.children(in, out, depth+1)
	return out
}

func (t *translator) children(in map[string]any, out *schema, depth int) {
	if properties, ok := in["properties"].(map[string]any); ok && (out.Type == "OBJECT" || out.Type == "") {
		out.Type, out.Properties = "OBJECT", map[string]*schema{}
		for name, sub := range properties {
			out.Properties[name] = t.any(sub, depth)
		}
		for _, name := range list(in, "required") {
			if name, ok := name.(string); ok && out.Properties[name] != nil {
				out.Required = append(out.Required, name)
			}
		}
	}
	switch {
	case in["items"] != nil:
		out.Items = t.any(in["items"], depth)
	case out.Type == "ARRAY":
		out.Items = t.either(list(in, "prefixItems"), depth) // the API refuses an array of who knows what
	}
	if options := slices.Concat(list(in, "anyOf"), list(in, "oneOf")); len(options) > 0 {
		t.options(options, out, depth)
	}
}

// options are schemas of which one must hold. Null among them is a value that
// may be absent, and what is left alone is the schema itself.
func (t *translator) options(options []any, out *schema, depth int) {
	for _, o := range options {
		sub, ok := o.(map[string]any)
		if ok && text(t.resolve(sub), "type") == "null" {
			out.Nullable = true
			continue
		}
		out.AnyOf = append(out.AnyOf, t.any(o, depth))
	}
	if len(out.AnyOf) == 1 && out.Type == "" {
		alone := *out.AnyOf[0]
		alone.Nullable = alone.Nullable || out.Nullable
		if out.Description != "" {
			alone.Description = out.Description
		}
		*out = alone
	}
}

// either is a schema for one of several; none at all is a text.
func (t *translator) either(options []any, depth int) *schema {
	out := &schema{}
	t.options(options, out, depth)
	if out.Type == "" && out.AnyOf == nil {
		out.Type = "STRING"
	}
	return out
}

// any translates a schema that may be a bool, or missing its type.
func (t *translator) any(v any, depth int) *schema {
	in, ok := v.(map[string]any)
	if !ok {
		return &schema{Type: "STRING"} // true: anything, which is best written as text
	}
	out := t.schema(in, depth)
	if out.Type == "" && out.AnyOf == nil {
		out.Type = "STRING"
		if out.Properties != nil {
			out.Type = "OBJECT"
		}
	}
	return out
}

// resolve follows a reference within the document, and joins what allOf lists.
func (t *translator) resolve(in map[string]any) map[string]any {
	for range maxDepth {
		ref := text(in, "$ref")
		if ref == "" {
			break
		}
		target := t.lookup(ref)
		if target == nil {
			return map[string]any{"description": text(in, "description")}
		}
		in = join(target, without(in, "$ref"))
	}
	all := list(in, "allOf")
	in = without(in, "allOf")
	for i, sub := range all {
		if sub, ok := sub.(map[string]any); ok && i < maxDepth {
			if ref := text(sub, "$ref"); ref != "" {
				sub = join(t.lookup(ref), without(sub, "$ref"))
			}
			in = join(in, without(sub, "allOf"))
		}
	}
	return in
}

// lookup finds what "#/$defs/x" points at; nil: nothing.
func (t *translator) lookup(ref string) map[string]any {
	path, inside := strings.CutPrefix(ref, "#/")
	if ref == "#" {
		return t.root
	}
	if !inside {
		return nil
	}
	at := t.root
	for name := range strings.SplitSeq(path, "/") {
		name = strings.NewReplacer("~1", "/", "~0", "~").Replace(name)
		at, _ = at[name].(map[string]any)
	}
	return at
}

// join is base with the fields of over; their properties and required add up.
func join(base, over map[string]any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, base)
	for k, v := range over {
		switch old := out[k].(type) {
		case map[string]any:
			if more, ok := v.(map[string]any); ok && k == "properties" {
				v = join(old, more)
			}
		case []any:
			if more, ok := v.([]any); ok && k == "required" {
				v = slices.Concat(old, more)
			}
		}
		out[k] = v
	}
	return out
}

func without(in map[string]any, key string) map[string]any {
	if _, has := in[key]; !has {
		return in
	}
	out := join(in, nil)
	delete(out, key)
	return out
}

func text(in map[string]any, key string) string {
	s, _ := in[key].(string)
	return s
}

func list(in map[string]any, key string) []any {
	l, _ := in[key].([]any)
	return l
}

// setType takes a type, or several: null among them is nullable, and of others
// each is an option.
func (s *schema) setType(in map[string]any) {
	if kind := text(in, "type"); kind != "" {
		s.Type = typeOf(kind)
		return
	}
	var kinds []string
	for _, k := range list(in, "type") {
		if k == "null" {
			s.Nullable = true
		} else if k, ok := k.(string); ok {
			kinds = append(kinds, typeOf(k))
		}
	}
	if len(kinds) == 1 {
		s.Type = kinds[0]
		return
	}
	for _, k := range kinds {
		option := &schema{Type: k}
		if k == "ARRAY" {
			option.Items = &schema{Type: "STRING"}
		}
		s.AnyOf = append(s.AnyOf, option)
	}
}

func typeOf(kind string) string {
	if kind = strings.ToUpper(kind); slices.Contains([]string{"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"}, kind) {
		return kind
	}
	return "STRING"
}

// setFormat keeps the formats that the API takes for each type.
func (s *schema) setFormat(format string) {
	allowed := map[string][]string{"STRING": {"enum", "date-time"}, "NUMBER": {"float", "double"}, "INTEGER": {"int32", "int64"}}
	if slices.Contains(allowed[s.Type], format) {
		s.Format = format
	}
}

// setEnum keeps an enum, or a const, of texts; the API has no other.
func (s *schema) setEnum(in map[string]any) {
	values := list(in, "enum")
	if c, ok := in["const"]; ok {
		values = []any{c}
	}
	var texts, others []string
	for _, v := range values {
		switch v := v.(type) {
		case string:
			texts = append(texts, v)
		case nil:
			s.Nullable = true
		default:
			others = append(others, fmt.Sprint(v))
		}
	}
	switch {
	case len(others) > 0: // said in words instead
		words := append(others, texts...)
		s.Description = strings.TrimSpace(s.Description + " One of: " + strings.Join(words, ", ") + ".")
	case len(texts) > 0 && (s.Type == "STRING" || s.Type == ""):
		s.Type, s.Enum = "STRING", texts
	}
}
