package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// releasedFile lists what the API of the last release has, a line for each thing
// that a program may rely on. MGX_RELEASE=1 writes it, with a release.
const releasedFile = "testdata/released.txt"

// What a program relies on that was written for the last release is still there,
// and nothing more is asked of it. See docs/api.md.
func TestCompatible(t *testing.T) {
	t.Parallel()
	now := outline(t, bare(t))
	if os.Getenv("MGX_RELEASE") != "" {
		must(t, os.WriteFile(releasedFile, []byte(strings.Join(now, "\n")+"\n"), 0o644))
		return
	}
	text, err := os.ReadFile(releasedFile)
	must(t, err)
	for _, why := range broken(strings.Split(strings.TrimSpace(string(text)), "\n"), now) {
		t.Error(why)
	}
}

// broken says what of an outline is not kept by a later one.
func broken(released, now []string) (all []string) {
	has := map[string]bool{}
	for _, line := range now {
		has[line] = true
	}
	knew := map[string]bool{}
	for _, line := range released {
		knew[line] = true
		if what, asked := strings.CutSuffix(line, " required"); !has[line] && (!asked || !has[what]) {
			all = append(all, "the API of the last release has this, and the code has not any more: "+line+"; add what is new beside it, and deprecate it first (docs/api.md)")
		}
	}
	for _, line := range now {
		if what, asked := strings.CutSuffix(line, " required"); asked && !knew[line] && knew[what] {
			all = append(all, "a request of the last release does without this, and now it is required: "+what+"; make it optional (docs/api.md)")
		}
		if what, asked := strings.CutSuffix(line, " required"); asked && !knew[line] && !knew[what] && knew[owner(what)] {
			all = append(all, "this is new, and required of requests that the last release has without it: "+what+"; make it optional (docs/api.md)")
		}
	}
	return all
}

// owner is what a line is a part of: the operation of a parameter, the schema of a
// field.
func owner(line string) string {
	words := strings.Fields(line)
	switch words[0] {
	case "takes":
		return "operation " + words[1]
	case "field":
		name, _, _ := strings.Cut(words[1], ".")
		return "schema " + name
	}
	return ""
}

type schema struct {
	Ref        string            `json:"$ref"`
	Type       any               `json:"type"`
	Format     string            `json:"format"`
	Enum       []any             `json:"enum"`
	Properties map[string]schema `json:"properties"`
	Required   []string          `json:"required"`
	Items      *schema           `json:"items"`
	Additional any               `json:"additionalProperties"`
	MaxLength  int
}

func (s schema) name() string { return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:] }

func (s schema) kind() string {
	switch {
	case s.Ref != "":
		return s.name()
	case s.Items != nil:
		return "list(" + s.Items.kind() + ")"
	}
	return strings.TrimSuffix(strings.ReplaceAll(fmt.Sprintf("%v,%s", s.Type, s.Format), " ", ","), ",")
}

type operation struct {
	ID         string           `json:"operationId"`
	Security   []map[string]any `json:"security"`
	Dialect    bool             `json:"x-dialect"`
	Deprecated bool
	Parameters []struct {
		Name, In string
		Required bool
		Schema   schema
	}
	RequestBody *struct {
		Required bool
		Content  map[string]struct{ Schema schema }
	}
	Responses map[string]response
}

type response struct {
	Ref     string `json:"$ref"`
	Content map[string]struct{ Schema schema }
	Headers map[string]any
	Codes   []string `json:"x-codes"`
}

// contractOf is the document as tests read it.
type contractOf struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]schema
		Responses map[string]response
	}
}

func parseDocument(t testing.TB, web interface{ Document() ([]byte, error) }) (doc contractOf) {
	t.Helper()
	text, err := web.Document()
	must(t, err)
	must(t, json.Unmarshal(text, &doc))
	return doc
}

// outline is what programs may rely on, as lines: operations, what they take and
// give, the fields of schemas and the values of enums. "required" is what a request
// must have, "always" what an answer always has.
func outline(t testing.TB, web interface{ Document() ([]byte, error) }) []string {
	t.Helper()
	doc := parseDocument(t, web)
	lines := map[string]bool{}
	add := func(format string, args ...any) { lines[fmt.Sprintf(format, args...)] = true }
	asked := map[string]bool{} // schemas of requests
	var reach func(s schema)
	reach = func(s schema) {
		if s.Items != nil {
			reach(*s.Items)
		}
		if s.Ref == "" || asked[s.name()] {
			return
		}
		asked[s.name()] = true
		for _, f := range doc.Components.Schemas[s.name()].Properties {
			reach(f)
		}
	}
	require := func(line string, required bool) {
		if add("%s", line); required {
			add("%s required", line)
		}
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			add("operation %s", o.ID)
			add("operation %s at %s %s", o.ID, strings.ToUpper(method), path)
			for _, p := range o.Parameters {
				require(fmt.Sprintf("takes %s %s %s %s", o.ID, p.In, p.Name, p.Schema.kind()), p.Required)
				for _, v := range p.Schema.Enum {
					add("takes %s %s %s = %v", o.ID, p.In, p.Name, v)
				}
			}
			if o.RequestBody != nil {
				for typ, c := range o.RequestBody.Content {
					reach(c.Schema)
					require(fmt.Sprintf("takes %s body %s %s", o.ID, typ, c.Schema.kind()), o.RequestBody.Required)
				}
			}
			for status, r := range o.Responses {
				if status < "4" && r.Content == nil {
					add("gives %s %s", o.ID, status)
				}
				for typ, c := range r.Content {
					if status < "4" {
						add("gives %s %s %s %s", o.ID, status, typ, c.Schema.kind())
					}
				}
			}
		}
	}
	for name, s := range doc.Components.Schemas {
		add("schema %s", name)
		for field, f := range s.Properties {
			line := fmt.Sprintf("field %s.%s %s", name, field, f.kind())
			required := slices.Contains(s.Required, field)
			if require(line, required && asked[name]); required && !asked[name] {
				add("%s always", line)
			}
			for _, v := range f.Enum {
				add("field %s.%s = %v", name, field, v)
			}
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

// The check finds what breaks programs, and lets pass what only adds.
func TestCheckOfCompatibility(t *testing.T) {
	t.Parallel()
	now := outline(t, bare(t))
	if got := broken(now, now); len(got) > 0 {
		t.Fatalf("nothing changed, and %q", got)
	}
	without := func(line string) []string {
		i := slices.Index(now, line)
		if i < 0 {
			t.Fatalf("there is no %q", line)
		}
		return slices.Delete(slices.Clone(now), i, i+1)
	}
	for _, line := range []string{
		"operation listBudgets", "operation listBudgets at GET /api/v1/budgets", "takes listBudgets query limit integer,int64", "takes listUsage query by = model",
		"field Workspace.name string", "field Workspace.name string always", "field NewBudget.period = month", "gives getBudget 200 application/json BudgetUse",
	} {
		if got := broken(now, without(line)); len(got) != 1 || !strings.Contains(got[0], line) {
			t.Errorf("without %q: %q", line, got)
		}
	}
	for _, line := range []string{"field NewBudget.scope string required", "field NewBudget.colour string required", "takes listBudgets query colour string required"} {
		more := append(slices.Clone(now), strings.TrimSuffix(line, " required"), line)
		if got := broken(now, more); len(got) != 1 || !strings.Contains(got[0], "required") {
			t.Errorf("with %q: %q", line, got)
		}
	}
	for _, line := range []string{
		"operation paint", "takes paint query colour string required", "field Workspace.colour string", "field Workspace.colour string always", "field NewBudget.period = year", "field NewBudget.colour string",
		"schema Colour", "field Colour.name string required",
	} {
		more := append(slices.Clone(now), line)
		if got := broken(now, more); len(got) != 0 {
			t.Errorf("with %q: %q", line, got)
		}
	}
	if got := broken(now, without("takes createBudget body application/json NewBudget required")); len(got) != 0 {
		t.Errorf("what is not required any more: %q", got)
	}
}
