package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"mgx"
)

// maxArgs bounds the arguments of one call, in bytes.
const maxArgs = 16 << 20

// CodeBadArguments is the code of the error that ParseArgs gives a model back.
const CodeBadArguments = "bad_arguments"

// ParseArgs makes the arguments that a model sent into JSON that is valid
// against the tool's schema. It repairs what has only one meaning: no text at
// all, a code fence or words around the object, control characters and bad
// escapes in strings, trailing commas, JSON encoded twice, and lists, objects,
// numbers and booleans sent as strings. It completes nothing: text that was cut
// off is an error, for half a file must not be written. The error is a
// *mgx.Error for the model to read: what is wrong, and the fields there are.
func ParseArgs(spec Spec, raw string) (json.RawMessage, error) {
	s, err := schemaOf(spec)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxArgs {
		return nil, s.badArgs(spec, fmt.Sprintf("they have %s, more than %s", size(int64(len(raw))), size(maxArgs)))
	}
	object, err := parseObject(raw)
	if err != nil {
		return nil, s.badArgs(spec, err.Error())
	}
	args := coerce(s.doc, object)
	if err := s.compiled.Validate(args); err != nil {
		return nil, s.badArgs(spec, faults(err))
	}
	return encode(args)
}

// badArgs says what is wrong and which fields the tool has.
func (s *schema) badArgs(spec Spec, wrong string) error {
	return mgx.Errorf(mgx.KindUsage, CodeBadArguments, "The arguments of %s are not right: %s. %s Call it again.", spec.Name, wrong, s.fields(spec))
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, "internal", "arguments do not encode: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// schema is the compiled schema of a tool, and the same as plain data.
type schema struct {
	compiled *jsonschema.Schema
	doc      map[string]any
}

// schemas keeps what was compiled, by the text of the schema. It starts over
// when it has grown large, which only odd sets of foreign tools make happen.
var schemas = struct {
	sync.Mutex
	known map[string]*schema
}{known: map[string]*schema{}}

const maxSchemas = 512

func schemaOf(spec Spec) (*schema, error) {
	schemas.Lock()
	defer schemas.Unlock()
	key := string(spec.Schema)
	if s := schemas.known[key]; s != nil {
		return s, nil
	}
	s, err := compile(spec.Schema)
	if err != nil {
		return nil, mgx.Errorf(mgx.KindInternal, "bad_schema", "the schema of tool %s cannot be used: %w", spec.Name, err)
	}
	if len(schemas.known) >= maxSchemas {
		clear(schemas.known)
	}
	schemas.known[key] = s
	return s, nil
}

func compile(raw json.RawMessage) (*schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	object, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	const url = "tool:arguments"
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(url, doc); err != nil {
		return nil, err
	}
	compiled, err := c.Compile(url)
	return &schema{compiled, object}, err
}

// noLoader keeps schemas, which may come from outside, from reading files.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("references to other documents are not followed")
}

// faults says what a validation found, field by field.
func faults(err error) string {
	v, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return cut(Clean(err.Error()), 300)
	}
	var all []string
	collect(v, &all)
	const told = 8
	if len(all) > told {
		all = append(all[:told], fmt.Sprintf("and %d more", len(all)-told))
	}
	return strings.Join(all, "; ")
}

func collect(v *jsonschema.ValidationError, into *[]string) {
	for _, c := range v.Causes {
		collect(c, into)
	}
	if len(v.Causes) == 0 {
		*into = append(*into, cut(Clean(fault(v)), 300))
	}
}

func fault(v *jsonschema.ValidationError) string {
	where := strings.Join(v.InstanceLocation, ".")
	in := ""
	if where != "" {
		in = " in " + where
	}
	switch k := v.ErrorKind.(type) {
	case *kind.Required:
		return strings.Join(k.Missing, ", ") + " missing" + in
	case *kind.AdditionalProperties:
		return "there is no field " + strings.Join(k.Properties, ", ") + in
	case *kind.Type:
		return fmt.Sprintf("%s is %s, but must be %s", orArgs(where), k.Got, strings.Join(k.Want, " or "))
	}
	return fmt.Sprintf("%s: %s", orArgs(where), says(v))
}

// says is the library's own sentence on one fault, without the place.
func says(v *jsonschema.ValidationError) string {
	if e := v.BasicOutput().Error; e != nil {
		return e.String()
	}
	return "not valid"
}

func orArgs(where string) string {
	if where == "" {
		return "the whole"
	}
	return where
}

// fields lists what a tool takes, required fields first.
func (s *schema) fields(spec Spec) string {
	properties, _ := s.doc["properties"].(map[string]any)
	if len(properties) == 0 {
		return spec.Name + " takes no fields: send {}."
	}
	required, _ := s.doc["required"].([]any)
	var must, may []string
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if field := name + kindOf(properties[name]); slices.Contains(required, any(name)) {
			must = append(must, field+" required")
		} else {
			may = append(may, field+" optional")
		}
	}
	return fmt.Sprintf("The fields of %s are: %s.", spec.Name, strings.Join(append(must, may...), ", "))
}

func kindOf(property any) string {
	p, _ := property.(map[string]any)
	if types := typesOf(p); len(types) > 0 {
		return " (" + strings.Join(types, " or ") + ")"
	}
	return ""
}
