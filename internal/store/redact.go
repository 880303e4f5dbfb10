package store

import (
	"encoding/json"
	"strings"

	"mgx"
)

// redactor takes out what is hidden in what belongs to one workspace; to an empty
// one belongs what may be of several. A nil one takes nothing out.
type redactor func([]byte) []byte

func (s *Store) redactor(of mgx.WorkspaceID) redactor {
	if s.opts.Redact == nil {
		return nil
	}
	return s.opts.Redact(of)
}

// redact takes secrets out of JSON and makes sure that JSON is left.
func (h redactor) redact(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if h != nil {
		raw = h(raw)
	}
	if !json.Valid(raw) {
		return nil, mgx.Errorf(mgx.KindInternal, "bad_json", "a value to be stored is not JSON after redaction")
	}
	return raw, nil
}

func (h redactor) redactFailure(f *mgx.Error) (*mgx.Error, error) {
	if f == nil || h == nil {
		return f, nil
	}
	raw, err := h.redact(json.RawMessage(mustJSON(f)))
	if err != nil {
		return nil, err
	}
	var clean mgx.Error
	if err := json.Unmarshal(raw, &clean); err != nil {
		return nil, badRow("failure", err)
	}
	return &clean, nil
}

const maxErrorText = 2000 // bytes kept of why something failed

// redactText takes secrets out of words, and all but the beginning of long ones.
func (h redactor) redactText(words string) string {
	if raw, err := h.redact(json.RawMessage(mustJSON(words))); err != nil || json.Unmarshal(raw, &words) != nil {
		return "what it said could not be redacted"
	}
	if len(words) > maxErrorText {
		words = strings.ToValidUTF8(words[:maxErrorText], "") + "…"
	}
	return words
}
