package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"mgx/internal/tool"
)

// Bounds on a schema. Real ones have a few dozen parts.
const (
	maxSchema   = 32 << 10 // bytes
	maxDepth    = 32
	maxExpanded = 5_000 // parts, each counted as often as it is referred to
	maxProperty = 128   // bytes of a property's name
)

// usable makes of a schema from outside one that models may be shown: plain and
// bounded, with hidden characters taken out of its words. The error says in a
// sentence's end why it cannot be used.
func usable(schema any) (json.RawMessage, error) {
	root, ok := schema.(map[string]any)
	if !ok || root["type"] != "object" {
		return nil, errors.New("its schema is not that of an object")
	}
	if raw, err := json.Marshal(root); err != nil || len(raw) > maxSchema {
		return nil, fmt.Errorf("its schema has more than %d KB", maxSchema>>10)
	}
	w := walk{root: root}
	if err := w.schema(root, 0); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(cleaned(root))
	if err != nil {
		return nil, errors.New("its schema is not JSON")
	}
	if err := compiles(raw); err != nil {
		return nil, errors.New("its schema is not a valid JSON Schema")
	}
	return raw, nil
}

// compiles guards against a library that meets what nobody has tried on it.
func compiles(raw json.RawMessage) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("the schema breaks the validator")
		}
	}()
	return tool.Usable(raw)
}

// walk goes through a schema as a validator would at worst: into each reference,
// each time.
type walk struct {
	root  map[string]any
	parts int
	open  []string // references that are being followed
}

// What a schema may not have: names by which parts of it could be reached, or
// that change what a reference means.
var moving = []string{"$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$vocabulary"}

var drafts = []string{
	"http://json-schema.org/draft-07/schema", "https://json-schema.org/draft/2019-09/schema", "https://json-schema.org/draft/2020-12/schema",
}

func (w *walk) schema(s map[string]any, depth int) error {
	if w.parts++; w.parts > maxExpanded || depth > maxDepth {
		return errors.New("its schema is too large or too deep")
	}
	for key, v := range s {
		if err := w.keyword(key, v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) keyword(key string, v any, depth int) error {
	switch {
	case key == "$ref":
		return w.follow(v, depth)
	case key == "$schema":
		if of, _ := v.(string); !slices.Contains(drafts, strings.TrimSuffix(of, "#")) {
			return errors.New("its schema is of a kind that is not known")
		}
		return nil
	case slices.Contains(moving, key):
		return fmt.Errorf("its schema uses %s, which is not supported", key)
	case slices.Contains([]string{"enum", "const", "default", "examples", "example", "required"}, key):
		return w.data(v, depth+1)
	case slices.Contains([]string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}, key):
		return w.named(v, depth)
	}
	return w.value(v, depth)
}

// follow goes into a reference to a definition of the schema's own.
func (w *walk) follow(v any, depth int) error {
	ref, _ := v.(string)
	where, name, ok := strings.Cut(strings.TrimPrefix(ref, "#/"), "/")
	defs, _ := w.root[where].(map[string]any)
	target, found := defs[name].(map[string]any)
	if !ok || !strings.HasPrefix(ref, "#/") || where != "$defs" && where != "definitions" || strings.ContainsAny(name, "/~%") || !found {
		return errors.New("its schema refers to something other than its own definitions")
	}
	if slices.Contains(w.open, ref) {
		return errors.New("its schema refers to itself")
	}
	w.open = append(w.open, ref)
	defer func() { w.open = w.open[:len(w.open)-1] }()
	return w.schema(target, depth+1)
}

// named are schemas by names that models will read.
func (w *walk) named(v any, depth int) error {
	all, _ := v.(map[string]any)
	for name, s := range all {
		if len(name) > maxProperty || tool.Clean(name) != name {
			return errors.New("its schema has a name that is too long or has hidden characters")
		}
		if err := w.value(s, depth); err != nil {
			return err
		}
	}
	return nil
}

// value is anything that is or may hold schemas.
func (w *walk) value(v any, depth int) error {
	switch v := v.(type) {
	case map[string]any:
		return w.schema(v, depth+1)
	case []any:
		for _, one := range v {
			if err := w.value(one, depth+1); err != nil {
				return err
			}
		}
	}
	w.parts++
	return nil
}

// data is what no validator goes into, but bounded all the same.
func (w *walk) data(v any, depth int) error {
	if w.parts++; w.parts > maxExpanded || depth > maxDepth {
		return errors.New("its schema is too large or too deep")
	}
	switch v := v.(type) {
	case map[string]any:
		for _, one := range v {
			if err := w.data(one, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, one := range v {
			if err := w.data(one, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// cleaned is a copy without hidden characters in its texts.
func cleaned(v any) any {
	switch v := v.(type) {
	case string:
		return tool.Clean(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cleaned(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, one := range v {
			out[tool.Clean(k)] = cleaned(one)
		}
		return out
	}
	return v
}
