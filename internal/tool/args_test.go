package tool

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mgx"
)

// sample has a field of every kind.
var sample = Spec{Name: "sample", Schema: json.RawMessage(`{
	"type": "object", "additionalProperties": false, "required": ["text"],
	"properties": {
		"text": {"type": "string"}, "count": {"type": "integer", "minimum": 1}, "ratio": {"type": "number", "minimum": 0}, "on": {"type": "boolean"},
		"names": {"type": "array", "items": {"type": "string"}},
		"sub": {"type": "object", "additionalProperties": false, "required": ["n"], "properties": {"n": {"type": "integer"}}},
		"subs": {"type": "array", "items": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}},
		"may": {"type": ["string", "null"]}, "kind": {"type": "string", "enum": ["a", "b"]}
	}}`)}

var nothing = Spec{Name: "nothing", Schema: json.RawMessage(`{"type": "object", "additionalProperties": false}`)}

func TestParseArgsRepairs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, raw, want string }{
		{"right", `{"text":"a","count":2}`, `{"count":2,"text":"a"}`},
		{"kept characters", `{"text":"<a> & \u00e9\\n"}`, `{"text":"<a> & é\\n"}`},
		{"raw newline and tab", "{\"text\":\"a\n\tb\"}", `{"text":"a\n\tb"}`},
		{"bad escapes", `{"text":"\d+\.go \'x\' \u12"}`, `{"text":"\\d+\\.go 'x' \\u12"}`},
		{"trailing comma", `{"text":"a","names":["x","y",],}`, `{"names":["x","y"],"text":"a"}`},
		{"trailing garbage", `{"text":"a"}}} and more`, `{"text":"a"}`},
		{"fence", "```json\n{\"text\":\"a\"}\n```", `{"text":"a"}`},
		{"words before", `Here you are: {"text":"a"}`, `{"text":"a"}`},
		{"tag", `<args>{"text":"a"}</args>`, `{"text":"a"}`},
		{"encoded twice", `"{\"text\":\"a \\\"q\\\"\"}"`, `{"text":"a \"q\""}`},
		{"encoded thrice", `"\"{\\\"text\\\":\\\"a\\\"}\""`, `{"text":"a"}`},
		{"empty object first", `{}{"text":"a"}`, `{"text":"a"}`},
		{"python words", `{"text":"a","on":True,"may":None}`, `{"may":null,"on":true,"text":"a"}`},
		{"stringified number", `{"text":"a","count":"7","ratio":"0.5"}`, `{"count":7,"ratio":0.5,"text":"a"}`},
		{"whole float", `{"text":"a","count":7.0}`, `{"count":7,"text":"a"}`},
		{"exponent", `{"text":"a","count":1e2}`, `{"count":100,"text":"a"}`},
		{"number without exponent", `{"text":"a","ratio":1.5e3}`, `{"ratio":1500,"text":"a"}`},
		{"stringified bool", `{"text":"a","on":"True"}`, `{"on":true,"text":"a"}`},
		{"stringified list", `{"text":"a","names":"[\"x\",\"y\"]"}`, `{"names":["x","y"],"text":"a"}`},
		{"one for a list", `{"text":"a","names":"x"}`, `{"names":["x"],"text":"a"}`},
		{"stringified object", `{"text":"a","sub":"{\"n\": \"3\"}"}`, `{"sub":{"n":3},"text":"a"}`},
		{"stringified list of objects", `{"text":"a","subs":"[{\"n\":1},{\"n\":\"2\"},]"}`, `{"subs":[{"n":1},{"n":2}],"text":"a"}`},
		{"object for a list", `{"text":"a","subs":{"n":1}}`, `{"subs":[{"n":1}],"text":"a"}`},
		{"number for text", `{"text":1.50}`, `{"text":"1.50"}`},
		{"null for optional", `{"text":"a","count":null,"names":null,"may":null}`, `{"may":null,"text":"a"}`},
		{"empty text for optional number", `{"text":"a","count":""}`, `{"text":"a"}`},
		{"not UTF-8", "{\"text\":\"a\xff\"}", `{"text":"a` + "\uFFFD" + `"}`},
		{"byte order mark", bom + `{"text":"a"}`, `{"text":"a"}`},
	} {
		got, err := ParseArgs(sample, c.raw)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: got %s, %v; want %s", c.name, got, err, c.want)
		}
	}
	for _, raw := range []string{"", "  \n", "null", "{}", `""`, `"{}"`} {
		if got, err := ParseArgs(nothing, raw); err != nil || string(got) != "{}" {
			t.Errorf("nothing with %q: %s, %v", raw, got, err)
		}
	}
}

func TestParseArgsRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, raw string
		says      []string
	}{
		{"missing", `{}`, []string{"text missing", "text (string) required", "count (integer) optional"}},
		{"empty", ``, []string{"text missing"}},
		{"null for required", `{"text":null}`, []string{"text is null, but must be string"}},
		{"unknown field", `{"text":"a","file_path":"x"}`, []string{"there is no field file_path", "The fields of sample are"}},
		{"wrong type", `{"text":{"a":1}}`, []string{"text is object, but must be string"}},
		{"no number", `{"text":"a","count":"many"}`, []string{"count is string, but must be integer"}},
		{"fraction", `{"text":"a","count":1.5}`, []string{"count is number, but must be integer"}},
		{"too small", `{"text":"a","count":0}`, []string{"count", "minimum"}},
		{"enum", `{"text":"a","kind":"c"}`, []string{"kind", "one of 'a', 'b'"}},
		{"nested", `{"text":"a","sub":{"m":1}}`, []string{"n missing in sub", "there is no field m in sub"}},
		{"several", `{"count":"x","on":3}`, []string{"text missing", "count is string", "on is"}},
		{"cut off", `{"text":"half of a fi`, []string{"ends before"}},
		{"cut off after a field", `{"text":"a"`, []string{"ends before"}},
		{"list", `["a"]`, []string{"must be a JSON object, not a list"}},
		{"number", `7`, []string{"must be a JSON object"}},
		{"words", `please read the file`, []string{"must be a JSON object"}},
		{"two", `{"text":"a"} {"text":"b"}`, []string{"several JSON objects"}},
		{"brackets", `{"text":"a"]`, []string{"brackets"}},
	} {
		got, err := ParseArgs(sample, c.raw)
		e, ok := errors.AsType[*mgx.Error](err)
		if !ok || e.Code != CodeBadArguments || e.Kind != mgx.KindUsage {
			t.Errorf("%s: got %s, %v", c.name, got, err)
			continue
		}
		for _, part := range c.says {
			if !strings.Contains(e.Message, part) {
				t.Errorf("%s: no %q in %q", c.name, part, e.Message)
			}
		}
	}
	if _, err := ParseArgs(nothing, `{"a":1}`); err == nil || !strings.Contains(err.Error(), "takes no fields") {
		t.Errorf("nothing: %v", err)
	}
}

func TestParseArgsBadSchema(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "schema.json")
	writeFile(t, other, `{"type": "object"}`)
	for _, schema := range []string{`{"$ref": "file://` + other + `"}`, ``, `[]`, `{"type": 7}`, `{"$ref": "file:///etc/passwd"}`, `{"$ref": "http://localhost/x"}`} {
		if _, err := ParseArgs(Spec{Name: "x", Schema: json.RawMessage(schema)}, `{}`); !mgx.IsCode(err, "bad_schema") {
			t.Errorf("%s: %v", schema, err)
		}
	}
}

// Arguments that would take a naive reader long.
func TestParseArgsIsBounded(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for _, raw := range []string{
		`{"text":"a","ratio":1e999999999}`, `{"text":"a","ratio":1e-999999999}`, `{"text":"a","count":1e308}`,
		strings.Repeat("{}", 1<<20), strings.Repeat(`[1,],`, 1<<20), strings.Repeat("[", 1<<20), strings.Repeat(`{"a":`, 1<<18),
		`{"text":"` + strings.Repeat(`\`, 1<<20), strings.Repeat(`"`, 1<<20), `{"text":"` + strings.Repeat("x", maxArgs) + `"}`,
	} {
		_, err := ParseArgs(sample, raw)
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
}

// Whatever is valid already comes through as it is.
func TestParseArgsKeepsWhatIsValid(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := map[string]any{"text": rapid.String().Draw(t, "text")}
		if rapid.Bool().Draw(t, "more") {
			in["count"] = float64(rapid.IntRange(1, 1<<40).Draw(t, "count"))
			in["names"] = []any{rapid.String().Draw(t, "name")}
		}
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseArgs(sample, string(raw))
		if err != nil {
			t.Fatal(err)
		}
		var out map[string]any
		if err := json.Unmarshal(got, &out); err != nil {
			t.Fatal(err)
		}
		if a, b := mustJSON(in), mustJSON(out); a != b {
			t.Errorf("%s became %s", a, b)
		}
	})
}

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func FuzzParseArgs(f *testing.F) {
	for _, s := range []string{`{"text":"a","count":"7"}`, "```json\n{\"text\":\"\n\"}```", `"{\"text\":\"a\"}"`, `{"text":1e999,"names":"[1,]"}`, `{}{"sub":"{\"n\":1}"}`} {
		f.Add(s)
	}
	specs := []Spec{sample, nothing}
	for _, b := range Builtins() {
		specs = append(specs, b.Spec())
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, spec := range specs {
			args, err := ParseArgs(spec, raw)
			if err != nil {
				if _, ok := errors.AsType[*mgx.Error](err); !ok {
					t.Fatalf("error of type %T", err)
				}
				continue
			}
			s, _ := schemaOf(spec)
			v, err := decode(string(args))
			if err != nil || s.compiled.Validate(v) != nil {
				t.Fatalf("%s: %q became %s, which is not valid", spec.Name, raw, args)
			}
			Summary(spec.Name, args)
		}
	})
}
