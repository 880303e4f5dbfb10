package llm

import (
	"encoding/json"
	"maps"
	"testing"
)

func TestSetFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{`{"model":"a","x":1}`, `{"max":9,"model":"b","x":1}`},
		{" { \"x\" : {\"model\": \"keep\"} , \"model\" :\t\"a\" } ", " {\"max\":9, \"x\" : {\"model\": \"keep\"} , \"model\" :\t\"b\" } "},
		{`{}`, `{"model":"b","max":9}`},
		{`{"max":[1,"]}",{"a":"\""}],"Model":"other"}`, `{"model":"b","max":9,"Model":"other"}`},
		{`{"mod\u0065l":null}`, `{"max":9,"mod\u0065l":"b"}`},
	} {
		got, err := SetFields([]byte(c.in), Field{Name: "model", Value: []byte(`"b"`)}, Field{Name: "max", Value: []byte("9")})
		if err != nil || string(got) != c.want {
			t.Errorf("%s became %s (%v), want %s", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{``, `[]`, `1`, `{"a":1,"\u0061":2}`, `{"a":1`, `null`} {
		if f, err := Fields([]byte(bad)); err == nil {
			t.Errorf("%q has fields %v", bad, f)
		}
	}
}

// Taking apart agrees with encoding/json on what it accepts, and setting a field
// changes that field and nothing else.
func FuzzFields(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `{"model":"x","a":{"b":[true,null,-1.5e3,"\"}"]}}`, `{ "\u00e9" : "\ud83d" }`, `[1]`, `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		fields, err := Fields(in)
		if err != nil {
			return
		}
		var whole map[string]json.RawMessage
		if err := json.Unmarshal(in, &whole); err != nil || len(whole) != len(fields) {
			t.Fatalf("%d fields, encoding/json says %d %v", len(fields), len(whole), err)
		}
		for _, f := range fields {
			if string(whole[f.Name]) != string(f.Value) {
				t.Fatalf("%q is %s, encoding/json says %s", f.Name, f.Value, whole[f.Name])
			}
		}
		out, err := SetFields(in, Field{Name: "model", Value: []byte(`"new"`)})
		var after map[string]json.RawMessage
		if err != nil || json.Unmarshal(out, &after) != nil || string(after["model"]) != `"new"` {
			t.Fatalf("set: %s %v", out, err)
		}
		delete(after, "model")
		delete(whole, "model")
		if !maps.EqualFunc(after, whole, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%s became %s", in, out)
		}
	})
}
