package event

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

const before = `{"$id":"urn:mgx:event:x:1.0.0","title":"T","type":"object","required":["a"],"properties":{
	"a":{"type":"string","description":"A."},
	"b":{"type":"string","description":"B.","enum":["x","y"]},
	"c":{"type":"array","description":"C.","items":{"$ref":"#/$defs/d"}},
	"m":{"type":"object","description":"M.","additionalProperties":{"type":"integer"}}
},"$defs":{"d":{"type":"object","description":"D.","required":["n"],"properties":{"n":{"type":"integer","description":"N.","minimum":0},"d":{"$ref":"#/$defs/d"}}}}}`

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		was, is string
		change  Change
		where   string
	}{
		"nothing":              {``, ``, NoChange, ""},
		"layout":               {`"properties":{`, ` "properties" : {`, NoChange, ""},
		"only the id":          {`x:1.0.0`, `x:1.0.1`, NoChange, ""},
		"a title":              {`"title":"T"`, `"title":"U"`, Patch, "/"},
		"words far down":       {`"description":"N."`, `"description":"NN."`, Patch, "/"},
		"an example":           {`"title":"T"`, `"title":"T","examples":[{"a":"1"}]`, Patch, "/"},
		"retention":            {`"title":"T"`, `"title":"T","x-mgx":{"retention_days":1}`, Patch, "/"},
		"optional field":       {`"a":{"type`, `"z":{"type":"string"},"a":{"type`, Minor, "/z"},
		"deep optional field":  {`"n":{"type`, `"z":{"type":"string"},"n":{"type`, Minor, "/c[]/z"},
		"enum value":           {`["x","y"]`, `["x","y","z"]`, Minor, "/b"},
		"order of enum":        {`["x","y"]`, `["y","x"]`, Patch, "/"},
		"removal":              {`"a":{"type":"string","description":"A."},`, ``, Major, "/a"},
		"rename":               {`"a":{"type`, `"aa":{"type`, Major, "/a"},
		"retype":               {`"a":{"type":"string"`, `"a":{"type":"integer"`, Major, "/a"},
		"or null":              {`"a":{"type":"string"`, `"a":{"type":["string","null"]`, Major, "/a"},
		"new required field":   {`"required":["a"],"properties":{`, `"required":["a","z"],"properties":{"z":{"type":"string"},`, Major, "/z"},
		"required now":         {`"required":["a"]`, `"required":["a","b"]`, Major, "/b"},
		"no more required":     {`"required":["n"]`, `"required":[]`, Major, "/c[]/n"},
		"narrowed enum":        {`["x","y"]`, `["x"]`, Major, "/b"},
		"enum begun":           {`"description":"A."`, `"description":"A.","enum":["x"]`, Major, "/a"},
		"enum ended":           {`,"enum":["x","y"]`, ``, Major, "/b"},
		"tighter bound":        {`"minimum":0`, `"minimum":1`, Major, "/c[]/n"},
		"looser bound":         {`,"minimum":0`, ``, Major, "/c[]/n"},
		"pattern":              {`"description":"A."`, `"description":"A.","pattern":"^x"`, Major, "/a"},
		"unheard-of keyword":   {`"description":"A."`, `"description":"A.","contentEncoding":"base64"`, Major, "/a"},
		"items":                {`{"$ref":"#/$defs/d"}},`, `{"type":"string"}},`, Major, "/c[]"},
		"values of a map":      {`"additionalProperties":{"type":"integer"}`, `"additionalProperties":{"type":"number"}`, Major, "/m{}"},
		"a name in a map":      {`"additionalProperties":{"type":"integer"}`, `"properties":{"q":{"type":"string"}},"additionalProperties":{"type":"integer"}`, Major, "/m/q"},
		"closed":               {`"title":"T"`, `"title":"T","additionalProperties":false`, Major, "{}"},
		"written out":          {`"items":{"$ref":"#/$defs/d"}`, `"items":{"type":"object","required":["n"],"properties":{"n":{"type":"integer","minimum":0},"d":{"$ref":"#/$defs/d"}}}`, Patch, "/"},
		"beside a reference":   {`{"$ref":"#/$defs/d"}},`, `{"$ref":"#/$defs/d","maxProperties":1}},`, Major, "/c[]"},
		"reference to nothing": {`"$ref":"#/$defs/d"}},`, `"$ref":"#/$defs/e"}},`, Major, "/c[]"},
	} {
		after := strings.Replace(before, c.was, c.is, 1)
		if name != "nothing" && after == before {
			t.Fatalf("%s: nothing was replaced", name)
		}
		found, err := Compare([]byte(before), []byte(after))
		if err != nil {
			t.Fatal(err)
		}
		if largest(found) != c.change {
			t.Errorf("%s: got %v, want %s", name, found, c.change)
		}
		if c.where != "" && !slices.ContainsFunc(found, func(d Difference) bool { return d.Change == c.change && d.Where == c.where }) {
			t.Errorf("%s: nothing at %s in %v", name, c.where, found)
		}
	}
}

// What is found to be no worse than minor, and brings no new value of an enum,
// can be read both ways: by a consumer that validates with the earlier schema,
// and as what the later schema says.
func TestCompatibleMeansReadableBothWays(t *testing.T) {
	t.Parallel()
	r := registry(t)
	rapid.Check(t, func(t *rapid.T) {
		was := r.contracts[rapid.SampledFrom(r.order).Draw(t, "type")].current
		is := newRelease(was.typ, mutate(t, was.raw))
		found, err := Compare(was.raw, is.raw)
		if err != nil {
			t.Fatal(err)
		}
		if largest(found) == Major || slices.ContainsFunc(found, func(d Difference) bool { return strings.Contains(d.What, "value") }) {
			return
		}
		old, later := anyData(t, was), anyData(t, is)
		if err := is.open(t).Validate(old); err != nil {
			t.Fatalf("%v: the later schema does not read what was written before: %v", found, err)
		}
		if err := was.open(t).Validate(later); err != nil {
			t.Fatalf("%v: the earlier schema does not read what is written now: %v", found, err)
		}
	})
}

// mutate changes something somewhere in a schema.
func mutate(t *rapid.T, raw []byte) []byte {
	root, err := decodeObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(1, 3).Draw(t, "changes") {
		objects := objectsIn(root, nil)
		spoil(t, rapid.SampledFrom(objects).Draw(t, "where"))
	}
	out, err := encodeObject(root)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func objectsIn(node any, all []map[string]any) []map[string]any {
	m, _ := node.(map[string]any)
	if _, ok := m["properties"].(map[string]any); ok {
		all = append(all, m)
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if key != "examples" {
			all = objectsIn(m[key], all)
		}
	}
	return all
}

func spoil(t *rapid.T, object map[string]any) {
	props := object["properties"].(map[string]any)
	names := slices.Sorted(maps.Keys(props))
	if len(names) == 0 {
		return
	}
	name := rapid.SampledFrom(names).Draw(t, "field")
	field, _ := props[name].(map[string]any)
	switch rapid.IntRange(0, 8).Draw(t, "how") {
	case 0:
		delete(props, name)
	case 1:
		props["z"] = map[string]any{"type": "string"}
	case 2:
		props["z"] = map[string]any{"type": "string"}
		object["required"] = append(asList(object["required"]), "z")
	case 3:
		props[name] = map[string]any{"type": rapid.SampledFrom([]string{"string", "integer", "boolean"}).Draw(t, "type")}
	case 4:
		object["required"] = []any{}
	case 5:
		field["description"] = "Other words."
	case 6:
		field["minLength"], field["minimum"] = json.Number("1"), json.Number("1")
	case 7:
		field["enum"] = append(asList(field["enum"]), "zz")
	case 8:
		props["z"] = props[name]
		delete(props, name)
	}
}

// contracts is a folder of one type, with what was released and what is there now.
func contracts(files ...string) fstest.MapFS {
	dir := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		dir[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return dir
}

func versioned(schema, v string) string { return strings.Replace(schema, "x:1.0.0", "x:"+v, 1) }

// What the build says when somebody changes a schema.
func TestRelease(t *testing.T) {
	t.Parallel()
	optional := strings.Replace(before, `"a":{"type`, `"z":{"type":"string"},"a":{"type`, 1)
	retyped := strings.Replace(before, `"a":{"type":"string"`, `"a":{"type":"integer"`, 1)
	wordy := strings.Replace(before, `"title":"T"`, `"title":"U"`, 1)
	first, _ := mustRegistry(t, contracts("x.json", before), nil).Release(Lock{})
	if first["x"]["1.0.0"] == "" {
		t.Fatal("the first release has no digest")
	}
	for name, c := range map[string]struct {
		files fs.FS
		steps []step
		want  string // in the only problem; empty: none
	}{
		"as released":          {contracts("x.json", before), nil, ""},
		"laid out otherwise":   {contracts("x.json", strings.ReplaceAll(before, `:{`, `: {`)), nil, ""},
		"changed in place":     {contracts("x.json", optional), nil, "make docs"},
		"words in place":       {contracts("x.json", wordy), nil, "1.0.1 when only words changed"},
		"next, earlier gone":   {contracts("x.json", versioned(optional, "1.1.0")), nil, "x@1.0.0.json"},
		"minor":                {contracts("x.json", versioned(optional, "1.1.0"), "earlier/x@1.0.0.json", before), nil, ""},
		"patch for words":      {contracts("x.json", versioned(wordy, "1.0.1"), "earlier/x@1.0.0.json", before), nil, ""},
		"patch for a field":    {contracts("x.json", versioned(optional, "1.0.1"), "earlier/x@1.0.0.json", before), nil, "Make it 1.1.0"},
		"minor for a retype":   {contracts("x.json", versioned(retyped, "1.1.0"), "earlier/x@1.0.0.json", before), nil, "Make it 2.0.0"},
		"major without step":   {contracts("x.json", versioned(retyped, "2.0.0"), "earlier/x@1.0.0.json", before), nil, "no step from version 1 to 2"},
		"major":                {contracts("x.json", versioned(retyped, "2.0.0"), "earlier/x@1.0.0.json", before), []step{{typ: "x", from: 1, up: same}}, ""},
		"major skipped":        {contracts("x.json", versioned(retyped, "3.0.0"), "earlier/x@1.0.0.json", before), []step{{typ: "x", from: 1, up: same}}, "follow one another"},
		"earlier changed":      {contracts("x.json", versioned(optional, "1.1.0"), "earlier/x@1.0.0.json", wordy), nil, "undo the change"},
		"version not later":    {contracts("x.json", before, "earlier/x@1.1.0.json", versioned(optional, "1.1.0")), nil, "is not later than"},
		"there twice":          {contracts("x.json", before, "earlier/x@1.0.0.json", before), nil, "twice"},
		"no version":           {contracts("x.json", versioned(before, "one")), nil, "does not name it"},
		"type gone":            {contracts("y.json", strings.Replace(before, ":x:", ":y:", 1)), nil, "put schemas/x.json back"},
		"back after an outing": {contracts("x.json", versioned(before, "1.2.0"), "earlier/x@1.1.0.json", versioned(optional, "1.1.0"), "earlier/x@1.0.0.json", before), nil, "1.1.0 by more than a minor"},
	} {
		_, problems := mustRegistry(t, c.files, c.steps).Release(first)
		switch {
		case c.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case c.want != "" && (len(problems) != 1 || !strings.Contains(problems[0], c.want)):
			t.Errorf("%s: got %q, want one with %q", name, problems, c.want)
		}
	}
}

func same(data map[string]any) (map[string]any, error) { return data, nil }

func mustRegistry(t testing.TB, dir fs.FS, steps []step) *Registry {
	t.Helper()
	r, err := newRegistry(dir, steps)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// This is what fails the build when a schema changed without the right version
// step. Each problem says what to do.
func TestContractsAreReleased(t *testing.T) {
	t.Parallel()
	lock, err := ReadLock()
	if err != nil {
		t.Fatal(err)
	}
	next, problems := registry(t).Release(lock)
	for _, p := range problems {
		t.Error(p)
	}
	if len(problems) == 0 && !bytes.Equal(next.JSON(), lock.JSON()) {
		t.Error("new versions are not in internal/event/schemas/contracts.lock.json yet; run: make docs")
	}
}

func TestEarlierFilesSayTheirVersion(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(embedded, "schemas/earlier/*")
	if err != nil || len(names) == 0 {
		t.Fatal("no earlier versions", err)
	}
	for _, name := range names {
		typ, v, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(name, "schemas/earlier/"), ".json"), "@")
		raw, err := fs.ReadFile(embedded, name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte(`"$id": "urn:mgx:event:`+typ+`:`+v+`"`)) {
			t.Errorf("%s holds another contract than its name says", name)
		}
	}
}
