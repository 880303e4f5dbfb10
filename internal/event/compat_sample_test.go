package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"mgx"
)

// sampler makes any data that a schema allows, as far as the contracts use
// JSON Schema.
type sampler struct{ root map[string]any }

// anyData draws data of a contract's version, in the writer's form.
func anyData(t *rapid.T, one *release) map[string]any {
	root, err := decodeObject(one.raw)
	if err != nil {
		t.Fatal(err)
	}
	return sampler{root}.draw(t, root, 0).(map[string]any)
}

func (s sampler) draw(t *rapid.T, node any, depth int) any {
	schema, _ := resolve(s.root, node)
	if choices, ok := schema["enum"].([]any); ok {
		return rapid.SampledFrom(choices).Draw(t, "enum")
	}
	types := set(schema["type"])
	switch typ := rapid.SampledFrom(types).Draw(t, "type"); typ {
	case `"null"`:
		return nil
	case `"boolean"`:
		return rapid.Bool().Draw(t, "bool")
	case `"integer"`:
		return number(t, rapid.Int64Range(bound(schema, "minimum", -1<<40), bound(schema, "maximum", 1<<40)).Draw(t, "integer"))
	case `"number"`:
		return number(t, rapid.Float64Range(float64(bound(schema, "minimum", -1000)), float64(bound(schema, "maximum", 1e6))).Draw(t, "number"))
	case `"string"`:
		return s.text(t, schema)
	case `"array"`:
		list := []any{}
		for range rapid.IntRange(int(bound(schema, "minItems", 0)), min(3, int(bound(schema, "maxItems", 3)))).Draw(t, "length") {
			list = append(list, s.draw(t, schema["items"], depth+1))
		}
		return list
	case `"object"`:
		return s.object(t, schema, depth)
	default:
		t.Fatalf("unknown type %s", typ)
		return nil
	}
}

func (s sampler) object(t *rapid.T, schema map[string]any, depth int) any {
	object := map[string]any{}
	required := set(schema["required"])
	props, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(props)) {
		if slices.Contains(required, shown(name)) || rapid.Bool().Draw(t, "has "+name) {
			object[name] = s.draw(t, props[name], depth+1)
		}
	}
	if below, ok := schema["additionalProperties"].(map[string]any); ok {
		for range rapid.IntRange(0, 2).Draw(t, "names") {
			object["x-"+rapid.String().Draw(t, "name")] = s.draw(t, below, depth+1)
		}
	}
	return object
}

func (s sampler) text(t *rapid.T, schema map[string]any) any {
	if schema["format"] == "date-time" {
		return mgx.Now().Add(0).Format("2006-01-02T15:04:05.000000Z07:00")
	}
	least, most := int(bound(schema, "minLength", 0)), int(bound(schema, "maxLength", 200))
	if pattern, ok := schema["pattern"].(string); ok && !strings.HasPrefix(pattern, "^[^") {
		return rapid.StringMatching(pattern).Filter(func(s string) bool { return utf8.RuneCountInString(s) <= most }).Draw(t, "pattern")
	}
	return rapid.StringN(least, min(most, 40), -1).Filter(func(s string) bool { return !strings.ContainsAny(s, "\r\n") }).Draw(t, "text")
}

func bound(schema map[string]any, keyword string, none int64) int64 {
	n, ok := schema[keyword].(json.Number)
	if !ok {
		return none
	}
	v, _ := n.Int64()
	return v
}

func number(t *rapid.T, v any) json.Number {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return json.Number(text)
}

// open compiles the published form, as a consumer does.
func (c *release) open(t interface{ Fatal(...any) }) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(c.raw)))
	if err != nil {
		t.Fatal(err)
	}
	tolerate(doc)
	schema, err := compile(c.typ, doc)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// tolerate takes enums out of a schema: readers bear with values they do not know,
// since a minor version may add some.
func tolerate(node any) {
	switch node := node.(type) {
	case map[string]any:
		delete(node, "enum")
		for _, below := range node {
			tolerate(below)
		}
	case []any:
		for _, below := range node {
			tolerate(below)
		}
	}
}

// The sampler is what other properties stand on.
func TestSamplesKeepTheirContract(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(r.order).Draw(t, "type")
		data, err := encodeObject(anyData(t, r.contracts[typ].current))
		if err != nil {
			t.Fatal(err)
		}
		e := sample(typ, data)
		if err := r.Check(&e); err != nil {
			t.Fatalf("%v\n%s", err, data)
		}
	})
}
