package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"mgx"
)

// deepest is how far values of a body may be nested.
const deepest = 32

// strictJSON accepts one JSON value with nothing after it, all of it text, in which no
// object has a name twice: of two readers of such an object one may see the first value and
// the other the second. Names that differ only in case count as the same, since
// decoders take them so.
func strictJSON(text []byte) error {
	if !utf8.Valid(text) {
		return badBody("the body is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := strictValue(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return badBody("there is something after the body's JSON value")
	}
	return nil
}

func strictValue(d *json.Decoder, depth int) error {
	t, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	if text, is := t.(string); is && !mgx.IsText(text) {
		return badBody("the body holds a zero byte, which no text has; send it without")
	}
	open, nested := t.(json.Delim)
	if !nested {
		return nil
	}
	if depth == deepest {
		return badBody("the body is nested more than %d deep", deepest)
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return notJSON(err)
			}
			text, _ := name.(string) // the decoder takes nothing else
			if !mgx.IsText(text) {
				return badBody("the body has a name with a zero byte in it")
			}
			if folded := strings.ToLower(text); seen[folded] {
				return badBody("the body has the name %q twice in one object", clip(text))
			} else {
				seen[folded] = true
			}
		}
		if err := strictValue(d, depth+1); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return notJSON(err)
	}
	return nil
}

func notJSON(error) error { return badBody("the body is not well-formed JSON") }

func badBody(format string, args ...any) error {
	return mgx.Errorf(mgx.KindUsage, codeBody, format, args...)
}

// errType is all that is told of a value that cannot be decoded: what the decoder
// says has the value in it.
var errType = errors.New("has a value that is not of the type expected there")

func decode(text []byte, into any) error {
	if json.Unmarshal(text, into) != nil {
		return errType
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
