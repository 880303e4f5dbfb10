package gemini

import (
	"encoding/json"
	"testing"
)

// TranslateAny translates a schema as that of a tool and of an answer.
func TranslateAny(t *testing.T, raw []byte) {
	if !json.Valid(raw) {
		return
	}
	for _, got := range []json.RawMessage{parametersOf(raw), schemaOf(raw)} {
		if got != nil && !json.Valid(got) {
			t.Fatalf("%s becomes %s", raw, got)
		}
		if len(got) > 64*len(raw)+1<<21 {
			t.Fatalf("%d bytes become %d", len(raw), len(got))
		}
	}
}
