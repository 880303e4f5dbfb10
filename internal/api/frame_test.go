package api

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"mgx/internal/event"
)

// What clients may send and what the server sends has the fields that the AsyncAPI
// document says, and no others.
func TestFramesAreDocumented(t *testing.T) {
	t.Parallel()
	contracts, err := event.NewRegistry()
	if err != nil {
		t.Fatal(err)
	}
	text, err := contracts.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	type ref struct {
		Ref string `json:"$ref"`
	}
	var doc struct {
		Operations map[string]struct{ Messages []ref }
		Components struct {
			Messages map[string]struct {
				Payload struct {
					Schema struct{ Properties map[string]any }
				}
			}
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	said := func(operation string) (names, fields []string) {
		all := map[string]bool{}
		for _, m := range doc.Operations[operation].Messages {
			name := m.Ref[strings.LastIndexByte(m.Ref, '/')+1:]
			names = append(names, name)
			for field := range doc.Components.Messages[name].Payload.Schema.Properties {
				all[field] = true
			}
		}
		return names, slices.Sorted(maps.Keys(all))
	}
	asked, heard := said("ask")
	if want := namesIn(clientFrame{}); !slices.Equal(heard, want) {
		t.Errorf("the document has clients say %q, the program hears %q", heard, want)
	}
	_, known, _ := strings.Cut((&socket{}).do(clientFrame{Type: "?"}).Error(), "a frame's type is ")
	known, _, _ = strings.Cut(known, ", not")
	if got := strings.FieldsFunc(strings.Replace(known, " or ", ", ", 1), func(c rune) bool { return c == ',' || c == ' ' }); !slices.Equal(slices.Sorted(slices.Values(got)), asked) {
		t.Errorf("the document has clients say %q, the program hears %q", asked, got)
	}
	says := slices.Concat(namesIn(serverFrame{}), namesIn(liveFrame{}), []string{"event"})
	slices.Sort(says)
	if _, told := said("deliver"); !slices.Equal(told, slices.Compact(says)) {
		t.Errorf("the document has the server say %q, the program says %q", told, says)
	}
}

// namesIn are the names of what a frame has in JSON, in order.
func namesIn(frame any) (names []string) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(frame)) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
