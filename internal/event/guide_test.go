package event

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"mgx"
)

// What is generated is committed, and current.
func TestDocumentsAreCurrent(t *testing.T) {
	t.Parallel()
	documents, err := registry(t).Documents()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range documents {
		have, err := os.ReadFile("../../" + name)
		if err != nil || !bytes.Equal(have, want) {
			t.Errorf("%s is not current; run: make docs (%v)", name, err)
		}
	}
}

func TestDocumentsAreDeterministic(t *testing.T) {
	t.Parallel()
	first, err := registry(t).Documents()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := registry(t).Documents()
		if err != nil || !reflect.DeepEqual(first, again) {
			t.Fatal("generated twice, it differs", err)
		}
	}
}

// Everything that the contracts and the Go type of events say is in the reference.
func TestReferenceIsComplete(t *testing.T) {
	t.Parallel()
	r := registry(t)
	page := string(r.Reference())
	for _, typ := range r.Types() {
		if !strings.Contains(page, "\n### "+string(typ.Type)+"\n") || !slices.Contains(categories, typ.Category) {
			t.Errorf("%s (%s) is missing", typ.Type, typ.Category)
		}
	}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[mgx.Event]()) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		need := "required"
		if strings.Contains(options, "omitempty") {
			need = "optional"
		}
		if !regexp.MustCompile("(?m)^\\| `" + name + "` \\| \\w+ \\| " + need + " \\|").MatchString(page) {
			t.Errorf("the envelope's %s is missing, or not %s", name, need)
		}
	}
	if n := strings.Count(string(Envelope()), `"description"`); n != reflect.TypeFor[mgx.Event]().NumField()+1 {
		t.Errorf("the envelope's schema has %d descriptions", n)
	}
}

func TestMigrationGuideTellsMajorChanges(t *testing.T) {
	t.Parallel()
	guide, err := worked(t).MigrationGuide()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"### tool.result", "1.0.0 → 2.0.0 (major)", "`/exit_code`: the field is gone", "`/outcome`: the field is required and was not",
		"version 1: deprecated on 2027-01-31, no longer served from 2027-05-01",
	} {
		if !strings.Contains(string(guide), want) {
			t.Errorf("no %q in\n%s", want, guide)
		}
	}
	now, err := registry(t).MigrationGuide()
	if err != nil || !strings.Contains(string(now), "`/task/estimates`: the optional field is new") {
		t.Error("the first minor change is not told", err)
	}
}

// An AsyncAPI document may refer only to what it holds.
func TestAsyncAPIReferences(t *testing.T) {
	t.Parallel()
	text, err := registry(t).AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	var root any
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
		node := root
		for name := range strings.SplitSeq(m[1], "/") {
			next, _ := node.(map[string]any)
			node = next[name]
		}
		if count++; node == nil {
			t.Errorf("nothing at %s", m[1])
		}
	}
	if count < 100 || strings.Contains(string(text), "#/$defs") {
		t.Errorf("%d references", count)
	}
}

// Earlier major versions have types too.
func TestTypeScriptOfSeveralMajorVersions(t *testing.T) {
	t.Parallel()
	text, err := worked(t).TypeScript()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"export interface ToolResultData {", "export interface ToolResultDataV1 {", `  "tool.result@1": ToolResultDataV1;`, `  "tool.result": "2.0.0",`,
		`  readonly status: "denied" | "error" | "success" | "timeout" | (string & {});`, "  readonly exit_code?: number;", "/** Exit code, where a program ran. */",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
