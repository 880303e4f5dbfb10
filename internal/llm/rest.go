package llm

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
)

// restKey marks an Opaque that holds no block of its own but fields of the part
// that follows it.
const restKey = "mgx.rest"

// KeepRest returns, as an Opaque to put before the part made of a block, those of
// its fields that the part does not hold: signatures, phases, and what a provider
// will think of next. known are the fields that the part holds; null counts as
// absent. It returns nil when there is nothing to keep.
func KeepRest(dialect string, block json.RawMessage, known ...string) *Opaque {
	var fields map[string]json.RawMessage
	if json.Unmarshal(block, &fields) != nil {
		return nil
	}
	maps.DeleteFunc(fields, func(name string, v json.RawMessage) bool {
		return string(v) == "null" || slices.Contains(known, name)
	})
	if len(fields) == 0 {
		return nil
	}
	return &Opaque{Dialect: dialect, Raw: MarshalWire(map[string]any{restKey: fields})}
}

// Rest returns the fields that an Opaque holds for the part after it, and
// whether it is one of [KeepRest] at all.
func (o *Opaque) Rest() (map[string]json.RawMessage, bool) {
	if !bytes.HasPrefix(o.Raw, []byte(`{"`+restKey+`":`)) {
		return nil, false
	}
	var kept map[string]map[string]json.RawMessage
	if json.Unmarshal(o.Raw, &kept) != nil {
		return nil, false
	}
	return kept[restKey], true
}

// WithRest encodes a block and adds the fields that were kept for it. Fields of
// the block itself win. The order is that of the block, then by name.
func WithRest(block any, rest map[string]json.RawMessage) json.RawMessage {
	raw := MarshalWire(block)
	if len(rest) == 0 {
		return raw
	}
	var own map[string]json.RawMessage
	if json.Unmarshal(raw, &own) != nil {
		return raw
	}
	var buf bytes.Buffer
	buf.Write(raw[:len(raw)-1])
	comma := len(own) > 0
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		if _, taken := own[name]; taken {
			continue
		}
		if comma {
			buf.WriteByte(',')
		}
		comma = true
		buf.Write(MarshalWire(name))
		buf.WriteByte(':')
		buf.Write(rest[name])
	}
	buf.WriteByte('}')
	return buf.Bytes()
}
