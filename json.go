package mgx

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// JSONFault says in plain words what encoding/json found wrong with what a person wrote:
// which field, and what it must be. It quotes no value.
func JSONFault(err error) error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		what := jsonNames[wrong.Type.Kind()]
		if what == "" {
			what = "something else"
		}
		if wrong.Field == "" {
			return fmt.Errorf("it must be %s, not %s", what, jsonValue(wrong.Value))
		}
		return fmt.Errorf("%s must be %s, not %s", wrong.Field, what, jsonValue(wrong.Value))
	}
	if bad, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("it is not JSON from byte %d on", max(bad.Offset, 1))
	}
	switch field, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case unknown:
		return fmt.Errorf("there is no field %s", field)
	case errors.Is(err, io.EOF):
		return errors.New("it is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("it is JSON that ends too early")
	}
	return errors.New("it is not the JSON that is wanted")
}

// jsonNames are what a value of Go is in JSON.
var jsonNames = map[reflect.Kind]string{
	reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Int64: "a whole number",
	reflect.Float64: "a number", reflect.Slice: "a list", reflect.Map: "an object", reflect.Struct: "an object",
}

// jsonValue is what encoding/json calls a value, such as "number 5".
func jsonValue(s string) string {
	kind, _, _ := strings.Cut(s, " ")
	switch kind {
	case "string":
		return "a text"
	case "number":
		return "a number"
	case "bool":
		return "true or false"
	case "array":
		return "a list"
	}
	return "an object"
}
