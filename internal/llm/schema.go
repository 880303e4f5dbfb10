package llm

import (
	"bytes"
	"encoding/json"
)

// DecodeSchema reads a JSON Schema, keeping numbers as they are written. It
// returns nil for what is no object.
func DecodeSchema(schema json.RawMessage) map[string]any {
	dec := json.NewDecoder(bytes.NewReader(schema))
	dec.UseNumber()
	var out map[string]any
	if dec.Decode(&out) != nil {
		return nil
	}
	return out
}

// WalkSchema visits a schema and every schema within it, the outermost first.
// visit may change the schema that it is given.
func WalkSchema(schema map[string]any, visit func(map[string]any)) {
	visit(schema)
	each := func(v any) {
		if sub, ok := v.(map[string]any); ok {
			WalkSchema(sub, visit)
		}
	}
	for _, key := range []string{"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"} {
		each(schema[key])
	}
	for _, key := range []string{"properties", "patternProperties", "$defs", "definitions", "dependentSchemas"} {
		named, _ := schema[key].(map[string]any)
		for _, sub := range named {
			each(sub)
		}
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf", "prefixItems"} {
		list, _ := schema[key].([]any)
		for _, sub := range list {
			each(sub)
		}
	}
}

// IsObjectSchema reports whether a schema describes an object.
func IsObjectSchema(schema map[string]any) bool {
	if kind, ok := schema["type"].(string); ok {
		return kind == "object"
	}
	kinds, _ := schema["type"].([]any)
	for _, k := range kinds {
		if k == "object" {
			return true
		}
	}
	return kinds == nil && schema["properties"] != nil
}

// CannotAsk is the error of a request that demands what neither the model nor
// its dialect has. What a request wishes for, how to sample or how hard to
// think, is left out instead where a model takes no such wish; what it demands,
// where an answer stops and which form it has, is never dropped in silence.
func CannotAsk(provider, model, what string) *CallError {
	return &CallError{Provider: provider, Model: model, Fault: FaultRequest, Message: "the model takes no " + what}
}
