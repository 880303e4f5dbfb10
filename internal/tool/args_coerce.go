package tool

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// coerce turns a value into what the schema wants where the value has only one
// reading as that, and leaves it as it is where not: validation then says so. It
// follows type, properties and items, which is what tools' schemas are made of.
func coerce(schema map[string]any, v any) any {
	if types := typesOf(schema); len(types) > 0 && !slices.Contains(types, typeOf(v)) {
		for _, want := range types {
			if as, ok := convert(want, schema, v); ok {
				v = as
				break
			}
		}
	}
	if n, ok := v.(json.Number); ok {
		return ordinary(n)
	}
	switch v := v.(type) {
	case map[string]any:
		return coerceFields(schema, v)
	case []any:
		items, _ := schema["items"].(map[string]any)
		for i := range v {
			v[i] = coerce(items, v[i])
		}
	}
	return v
}

func coerceFields(schema map[string]any, object map[string]any) any {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for name, v := range object {
		property, known := properties[name].(map[string]any)
		if known && absent(property, v) && !slices.Contains(required, any(name)) {
			delete(object, name)
			continue
		}
		object[name] = coerce(property, v)
	}
	return object
}

// absent reports whether a value is how models leave an optional field out.
func absent(property map[string]any, v any) bool {
	types := typesOf(property)
	if v == nil {
		return !slices.Contains(types, "null")
	}
	return v == "" && len(types) > 0 && !slices.Contains(types, "string")
}

// typesOf is the schema's type, or types.
func typesOf(schema map[string]any) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t}
	case []any:
		var types []string
		for _, one := range t {
			if s, ok := one.(string); ok {
				types = append(types, s)
			}
		}
		return types
	}
	return nil
}

// typeOf is a value's type in JSON Schema's words; whole numbers are integers.
func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case json.Number:
		if _, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return "integer"
		}
	}
	return "number"
}

// convert reads a value as another type.
func convert(want string, schema map[string]any, v any) (any, bool) {
	text, isText := v.(string)
	switch want {
	case "object":
		return decodedAs(want, text)
	case "array":
		if list, ok := decodedAs(want, text); ok {
			return list, true
		}
		items, _ := schema["items"].(map[string]any)
		return []any{v}, v != nil && slices.Contains(typesOf(items), typeOf(v)) // one is a list of one
	case "integer", "number":
		if n, err := decode(strings.TrimSpace(text)); isText && err == nil {
			v = n
		}
		if n, ok := v.(json.Number); ok {
			n = ordinary(n)
			return n, want == "number" || typeOf(n) == "integer"
		}
	case "boolean":
		switch strings.ToLower(strings.TrimSpace(text)) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	case "string":
		switch v := v.(type) {
		case json.Number:
			return v.String(), true
		case bool:
			return strconv.FormatBool(v), true
		}
	}
	return nil, false
}

func decodedAs(want, text string) (any, bool) {
	v, err := decodeRepaired(strings.TrimSpace(text))
	if err != nil || typeOf(v) != want {
		return nil, false
	}
	return v, true
}

// ordinary writes a number without an exponent, whole ones without a point, and
// holds it to what a float64 can be: exact arithmetic on 1e999999999, which the
// validator would do, takes gigabytes.
func ordinary(n json.Number) json.Number {
	f, err := n.Float64()
	switch {
	case err != nil || math.IsInf(f, 0):
		return json.Number(strconv.FormatFloat(math.Copysign(math.MaxFloat64, f), 'g', -1, 64))
	case !strings.ContainsAny(n.String(), ".eE") && len(n) < 20:
		return n
	case f == math.Trunc(f) && math.Abs(f) < 1<<53:
		return json.Number(strconv.FormatInt(int64(f), 10))
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
}
