package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"mgx"
)

// NewReader opens the conversation of a quarantined reader: an agent that is given
// what others wrote, and decides something by it. Whatever that text has the model
// do, two things hold. It can do nothing, because it has no tool, not even one of
// the loop's; a call is refused like any that a role does not have. And what it
// hands on are values that its finish call's schema names: one of a list, a number,
// yes or no. Of the texts among them each is bounded by [maxWords]; whoever gets
// one must not put it before a model.
//
// A spec that does not keep that is an error, whoever wrote it.
func NewReader(h Host, s Spec) (*Conversation, error) {
	if n := len(s.Tools) + len(s.Controls); n > 0 {
		return nil, mgx.Errorf(mgx.KindInternal, "reader_with_tools", "the role %s reads what others wrote and decides by it, and has %d tools; it must have none", s.Role, n)
	}
	if err := onlyValues(s.Finish.Schema); err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, "reader_without_types", "the role %s reads what others wrote and may hand on only values: %w", s.Role, err)
	}
	return New(h, s), nil
}

// maxWords is how long a text that a reader hands on can be: a title.
const maxWords = 120

// onlyValues reports what in the schema of an object is more than values.
func onlyValues(schema json.RawMessage) error {
	var object struct {
		Type                 string
		AdditionalProperties *bool
		Properties           map[string]struct {
			Type      string
			Enum      []any
			MaxLength int
		}
	}
	if err := json.Unmarshal(schema, &object); err != nil {
		return err
	}
	if object.Type != "object" || object.AdditionalProperties == nil || *object.AdditionalProperties {
		return fmt.Errorf("its result may have fields that no schema names")
	}
	for _, name := range slices.Sorted(maps.Keys(object.Properties)) {
		p := object.Properties[name]
		switch {
		case len(p.Enum) > 0, slices.Contains([]string{"boolean", "integer", "number"}, p.Type):
		case p.Type == "string" && p.MaxLength > 0 && p.MaxLength <= maxWords:
		default:
			return fmt.Errorf("%q can be anything", name)
		}
	}
	return nil
}
