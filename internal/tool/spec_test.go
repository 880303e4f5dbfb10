package tool

import (
	"encoding/json"
	"strings"
	"testing"

	"mgx"
)

func TestSpecs(t *testing.T) {
	t.Parallel()
	specs := ControlSpecs()
	for _, b := range Builtins() {
		specs = append(specs, b.Spec())
	}
	for _, s := range specs {
		t.Run(s.Name, func(t *testing.T) { checkSpec(t, s) })
	}
}

// checkSpec holds a spec to what the models' providers and the loop rely on.
func checkSpec(t *testing.T, s Spec) {
	if _, err := schemaOf(s); err != nil {
		t.Fatal(err)
	}
	if n := len(s.Description); n < 80 || n > 2500 {
		t.Errorf("description has %d bytes", n)
	}
	var doc map[string]any
	if err := json.Unmarshal(s.Schema, &doc); err != nil {
		t.Fatal(err)
	}
	checkStrict(t, "", doc)
}

func checkStrict(t *testing.T, where string, schema map[string]any) {
	properties, _ := schema["properties"].(map[string]any)
	if schema["type"] == "object" && (schema["additionalProperties"] != false || schema["required"] == nil) {
		t.Errorf("%q: an object must close its properties and list what is required", where)
	}
	for name, p := range properties {
		p := p.(map[string]any)
		if p["description"] == nil {
			t.Errorf("%s.%s has no description", where, name)
		}
		checkStrict(t, where+"."+name, p)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		checkStrict(t, where+"[]", items)
	}
}

func TestByName(t *testing.T) {
	t.Parallel()
	tools, err := ByName([]string{"shell", "read"})
	if err != nil || len(tools) != 2 || tools[0].Spec().Name != "shell" || tools[1].Spec().Name != "read" {
		t.Fatalf("got %v, %v", tools, err)
	}
	_, err = ByName([]string{"read", "rm"})
	if !mgx.IsCode(err, "unknown_tool") || !strings.Contains(err.Error(), "apply_patch") {
		t.Errorf("unknown tool: %v", err)
	}
}

func TestIsReadOnly(t *testing.T) {
	t.Parallel()
	for _, b := range Builtins() {
		s := b.Spec()
		want := strings.Contains(" list glob grep read ", " "+s.Name+" ")
		if IsReadOnly(s) != want {
			t.Errorf("IsReadOnly(%s) = %v", s.Name, !want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 500)
	for _, c := range []struct{ name, args, want string }{
		{"shell", `{"command":"go test ./...\n\techo \u001b[31mred"}`, "go test ./... echo red"},
		{"read", `{"path":"a/b.go","offset":3}`, "a/b.go"},
		{"grep", `{"pattern":"x+","path":"src"}`, "x+ in src"},
		{"glob", `{"pattern":"*.go"}`, "*.go"},
		{"list", `{}`, "."},
		{"apply_patch", `{"patch":"*** Begin Patch\n*** Delete File: a\n*** Delete File: b c\n*** End Patch"}`, "a, b c"},
		{"apply_patch", `{"patch":"?"}`, "a patch that cannot be read"},
		{"update_plan", `{"steps":[{"text":"x","status":"done"},{"text":"do y","status":"doing"}]}`, "1 of 2: do y"},
		{"ask", `{"questions":[{"text":"Which?"}]}`, "Which?"},
		{"note", `{"text":"n"}`, "n"},
		{"foreign", `{"n":1,"b":"second","a":"first"}`, "first"},
		{"shell", `{"command":"` + long + `"}`, strings.Repeat("ä", 119) + "…"},
		{"shell", `not json`, ""},
		{"shell", `{"command":7}`, ""},
	} {
		if got := Summary(c.name, json.RawMessage(c.args)); got != c.want {
			t.Errorf("Summary(%s, %s) = %q, want %q", c.name, c.args, got, c.want)
		}
	}
}
