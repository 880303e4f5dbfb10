package mgx

import (
	"encoding/json"
	"strings"
	"testing"
)

// What is wrong with JSON is told in words, without those of Go.
func TestJSONFault(t *testing.T) {
	for text, want := range map[string]string{
		``:                    "it is empty",
		`{"name":`:            "it is JSON that ends too early",
		`name`:                "it is not JSON from byte 2 on",
		`[]`:                  "it must be an object, not a list",
		`5`:                   "it must be an object, not a number",
		`{"name": 5}`:         "name must be a text, not a number",
		`{"on": "yes"}`:       "on must be true or false, not a text",
		`{"many": {"a": 1}}`:  "many must be a list, not an object",
		`{"in": {"n": 1.5}}`:  "in.n must be a whole number, not a number",
		`{"in": {"n": true}}`: "in.n must be a whole number, not true or false",
		`{"nome": "x"}`:       `there is no field "nome"`,
	} {
		var into struct {
			Name string   `json:"name"`
			On   bool     `json:"on"`
			Many []string `json:"many"`
			In   struct {
				N int `json:"n"`
			} `json:"in"`
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		err := d.Decode(&into)
		if err == nil || JSONFault(err).Error() != want {
			t.Errorf("%s: %v, want %s", text, JSONFault(err), want)
		}
	}
}
