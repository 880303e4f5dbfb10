package llm

import (
	"bytes"
	"encoding/json"
	"io"
)

// LongCache reports whether the body may ask the provider to keep the prompt in its
// cache for longer than it does by itself, which costs more: whether anything in
// it has a "ttl" that is not "5m". Nil does not.
func (p *Pass) LongCache() bool {
	if p == nil || !mayName(p.Body, "ttl", `\u007`, `\u006`) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(p.Body))
	for named := false; ; {
		token, err := dec.Token()
		switch {
		case err != nil:
			return err != io.EOF // of a body that is not JSON we know nothing
		case named && token != "5m":
			return true
		}
		named = token == "ttl"
	}
}

// mayName reports whether data has any of the texts.
func mayName(data []byte, texts ...string) bool {
	for _, text := range texts {
		if bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}
