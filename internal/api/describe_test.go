package api_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// Every field, parameter and operation of the document says what it means, and what is
// said of fields that there are not is nowhere.
func TestEverythingIsDescribed(t *testing.T) {
	t.Parallel()
	text, err := bare(t).Document()
	must(t, err)
	type described struct {
		Name, Description string
	}
	var doc struct {
		Paths map[string]map[string]struct {
			ID          string `json:"operationId"`
			Summary     string
			Parameters  []described
			RequestBody struct {
				Content map[string]struct {
					Schema struct{ Properties map[string]described }
				}
			}
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]described }
		}
	}
	must(t, json.Unmarshal(text, &doc))
	for _, methods := range doc.Paths {
		for _, o := range methods {
			if o.Summary == "" {
				t.Errorf("operation %s has no summary", o.ID)
			}
			for _, p := range o.Parameters {
				if p.Description == "" {
					t.Errorf("parameter %s of %s is not described", p.Name, o.ID)
				}
			}
			for _, c := range o.RequestBody.Content {
				for name, p := range c.Schema.Properties {
					if p.Description == "" {
						t.Errorf("field %s of the body of %s is not described", name, o.ID)
					}
				}
			}
		}
	}
	used := map[string]bool{}
	for name, s := range doc.Components.Schemas {
		for field, f := range s.Properties {
			used[field], used[name+"."+field] = true, true
			if f.Description == "" {
				t.Errorf("field %s.%s is not described; give it a doc tag, or a line in descriptions.txt", name, field)
			}
		}
	}
	kept, err := os.ReadFile("descriptions.txt")
	must(t, err)
	said := map[string]bool{}
	for line := range strings.Lines(string(kept)) {
		name, _, ok := strings.Cut(line, ": ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if said[name] {
			t.Errorf("descriptions.txt has %s twice", name)
		}
		said[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(said)) {
		if !used[name] {
			t.Errorf("descriptions.txt tells of %s, which is in no schema", name)
		}
	}
}
