package event

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Change is how much of a version step a difference between two schemas asks for.
type Change int

const (
	NoChange Change = iota
	Patch           // words: titles, descriptions, examples, and x-mgx
	Minor           // a new optional field, a new value of an enum
	Major           // everything else: removal, another name, another type, a new required field, a value or a bound that is gone or new
)

func (c Change) String() string { return [...]string{"none", "patch", "minor", "major"}[c] }

// Difference is one thing in which two schemas differ.
type Difference struct {
	Change Change
	Where  string // path of the field in the data, such as /result/kind; "/" is the whole
	What   string
}

func (d Difference) String() string { return fmt.Sprintf("%s at %s: %s", d.Change, d.Where, d.What) }

// Compare lists what differs between two schemas of one event's data, as readers
// and writers of either would find it: what is no worse than minor can be read
// both ways. It knows the keywords that the contracts use; a difference in any
// other is major, since nobody has thought about it.
func Compare(before, after []byte) ([]Difference, error) {
	a, err := decodeObject(before)
	if err != nil {
		return nil, err
	}
	b, err := decodeObject(after)
	if err != nil {
		return nil, err
	}
	c := comparison{before: a, after: b, open: map[[2]string]bool{}}
	c.schemas("", a, b)
	if len(c.found) == 0 && !sameButID(a, b) {
		c.add(Patch, "", "words changed")
	}
	return c.found, nil
}

// largest is what all the differences together ask for.
func largest(all []Difference) Change {
	most := NoChange
	for _, d := range all {
		most = max(most, d.Change)
	}
	return most
}

func sameButID(a, b map[string]any) bool {
	a, b = maps.Clone(a), maps.Clone(b)
	delete(a, "$id")
	delete(b, "$id")
	return reflect.DeepEqual(a, b)
}

// words are the keywords that say nothing about which data is valid. What $defs
// holds counts where it is referred to.
var words = []string{"$id", "title", "description", "examples", "$comment", "x-mgx", "deprecated", "$defs", "$ref"}

type comparison struct {
	before, after map[string]any // the whole schemas, for references
	found         []Difference
	open          map[[2]string]bool // pairs of references that are being compared
}

func (c *comparison) add(change Change, where, format string, args ...any) {
	if where == "" {
		where = "/"
	}
	c.found = append(c.found, Difference{change, where, fmt.Sprintf(format, args...)})
}

func (c *comparison) schemas(where string, before, after any) {
	a, refA := resolve(c.before, before)
	b, refB := resolve(c.after, after)
	if pair := [2]string{refA, refB}; refA != "" && refB != "" {
		if c.open[pair] {
			return // a schema within itself
		}
		c.open[pair] = true
		defer delete(c.open, pair)
	}
	c.types(where, a, b)
	c.enums(where, a, b)
	c.properties(where, a, b)
	c.required(where, a, b)
	c.below(where+"[]", a, b, "items")
	c.below(where+"{}", a, b, "additionalProperties")
	c.rest(where, a, b)
}

// resolve follows references within the schema, and returns the last of them.
// What else is said beside a reference, words apart, is kept under other names,
// under which any difference is major.
func resolve(root map[string]any, node any) (schema map[string]any, ref string) {
	schema, _ = node.(map[string]any)
	for range 16 { // further is a circle, in which the last one stands for all
		next, ok := schema["$ref"].(string)
		if !ok {
			break
		}
		ref = next
		defs, _ := root["$defs"].(map[string]any)
		target, _ := defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		schema = beside(schema, target)
	}
	return schema, ref
}

func beside(reference, target map[string]any) map[string]any {
	all := maps.Clone(target)
	for keyword, v := range reference {
		if !slices.Contains(words, keyword) {
			if all == nil {
				all = map[string]any{}
			}
			all["$ref, "+keyword] = v
		}
	}
	return all
}

func (c *comparison) types(where string, a, b map[string]any) {
	if x, y := set(a["type"]), set(b["type"]); !slices.Equal(x, y) {
		c.add(Major, where, "the type was %s and is %s", strings.Join(x, " or "), strings.Join(y, " or "))
	}
}

func (c *comparison) enums(where string, a, b map[string]any) {
	x, y := set(a["enum"]), set(b["enum"])
	switch {
	case a["enum"] == nil && b["enum"] == nil:
	case a["enum"] == nil:
		c.add(Major, where, "any value was allowed and now only some are")
	case b["enum"] == nil:
		c.add(Major, where, "only some values were allowed and now any is")
	}
	if a["enum"] == nil || b["enum"] == nil {
		return
	}
	for _, v := range missing(x, y) {
		c.add(Major, where, "the value %s is gone", v)
	}
	for _, v := range missing(y, x) {
		c.add(Minor, where, "the value %s is new", v)
	}
}

func (c *comparison) properties(where string, a, b map[string]any) {
	x, _ := a["properties"].(map[string]any)
	y, _ := b["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(x)) {
		if after, kept := y[name]; kept {
			c.schemas(where+"/"+name, x[name], after)
		} else {
			c.add(Major, where+"/"+name, "the field is gone")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(y)) {
		if _, old := x[name]; old || slices.Contains(set(b["required"]), shown(name)) {
			continue // required says so below
		}
		change := Minor
		if a["additionalProperties"] != nil {
			change = Major // the name could be there already, with another meaning
		}
		c.add(change, where+"/"+name, "the optional field is new")
	}
}

func (c *comparison) required(where string, a, b map[string]any) {
	x, y := set(a["required"]), set(b["required"])
	for _, name := range missing(y, x) {
		c.add(Major, where+"/"+strings.Trim(name, `"`), "the field is required and was not")
	}
	props, _ := b["properties"].(map[string]any)
	for _, name := range missing(x, y) {
		if name = strings.Trim(name, `"`); props[name] != nil {
			c.add(Major, where+"/"+name, "the field was required and may now be missing")
		}
	}
}

func (c *comparison) below(where string, a, b map[string]any, keyword string) {
	x, y := a[keyword], b[keyword]
	_, schemaA := x.(map[string]any)
	_, schemaB := y.(map[string]any)
	switch {
	case schemaA && schemaB:
		c.schemas(where, x, y)
	case !reflect.DeepEqual(x, y):
		c.add(Major, where, "%s changed", keyword)
	}
}

// rest compares every other keyword: bounds, patterns, formats, and whatever
// somebody comes to use.
func (c *comparison) rest(where string, a, b map[string]any) {
	known := append([]string{"type", "enum", "properties", "required", "items", "additionalProperties"}, words...)
	all := maps.Clone(a)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, b)
	for _, keyword := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(known, keyword) && !reflect.DeepEqual(a[keyword], b[keyword]) {
			c.add(Major, where, "%s was %s and is %s", keyword, shown(a[keyword]), shown(b[keyword]))
		}
	}
}

// set is a keyword's value or values, as JSON, in order and each once.
func set(v any) []string {
	list, many := v.([]any)
	if !many {
		if v == nil {
			return nil
		}
		list = []any{v}
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = shown(one)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// missing is what the first set has and the second lacks.
func missing(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(v string) bool { return slices.Contains(b, v) })
}

func shown(v any) string {
	if v == nil {
		return "absent"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
