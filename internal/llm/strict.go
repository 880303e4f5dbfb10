package llm

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// strictly decodes JSON into v, which points to a struct. What is wrong is said
// with the path of the field, such as policies.auto.candidates[1].weight; fields
// that v does not know, or that are given twice, are wrong.
func strictly(data []byte, v any) error {
	if !json.Valid(data) {
		var any any
		return fmt.Errorf("it is not valid JSON: %w", json.Unmarshal(data, &any))
	}
	return decodeAt("", data, reflect.ValueOf(v).Elem())
}

func decodeAt(path string, raw json.RawMessage, v reflect.Value) error {
	_, textual := v.Addr().Interface().(encoding.TextUnmarshaler)
	_, own := v.Addr().Interface().(json.Unmarshaler)
	switch {
	case textual || own:
		return leaf(path, raw, v)
	case v.Kind() == reflect.Struct:
		return decodeStruct(path, raw, v)
	case v.Kind() == reflect.Map:
		return decodeMap(path, raw, v)
	case v.Kind() == reflect.Slice:
		return decodeSlice(path, raw, v)
	}
	return leaf(path, raw, v)
}

// leaf decodes a value without parts.
func leaf(path string, raw json.RawMessage, v reflect.Value) error {
	err := json.Unmarshal(raw, v.Addr().Interface())
	if bytes.Equal(raw, []byte("null")) {
		err = errors.New("null")
	}
	if err == nil {
		return nil
	}
	what := map[reflect.Kind]string{
		reflect.String: "a text", reflect.Bool: "true or false", reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Float64: "a number",
	}[v.Kind()]
	if _, textual := v.Addr().Interface().(encoding.TextUnmarshaler); textual {
		var why *json.UnmarshalTypeError
		if errors.As(err, &why) || bytes.Equal(raw, []byte("null")) {
			return wrong(path, "it must be a text")
		}
		return wrong(path, "%s", err)
	}
	return wrong(path, "it must be %s", what)
}

func decodeStruct(path string, raw json.RawMessage, v reflect.Value) error {
	fields, err := Fields(raw)
	if err != nil {
		return wrong(path, "%s", err)
	}
	known := fieldsOf(v)
	for _, f := range fields {
		i := slices.IndexFunc(known, func(k namedField) bool { return k.name == f.Name })
		if i < 0 {
			var names []string
			for _, k := range known {
				names = append(names, k.name)
			}
			return wrong(path, "there is no field %q; the fields are %s", cutText(f.Name, 100), strings.Join(names, ", "))
		}
		if err := decodeAt(join(path, f.Name), f.Value, known[i].value); err != nil {
			return err
		}
	}
	return nil
}

type namedField struct {
	name  string
	value reflect.Value
}

// fieldsOf lists the fields of a struct as JSON names them, those of embedded
// structs too.
func fieldsOf(v reflect.Value) (all []namedField) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			all = append(all, fieldsOf(v.Field(i))...)
		case name != "" && name != "-":
			all = append(all, namedField{name, v.Field(i)})
		}
	}
	return all
}

func decodeMap(path string, raw json.RawMessage, v reflect.Value) error {
	fields, err := Fields(raw)
	if err != nil {
		return wrong(path, "%s", err)
	}
	m := reflect.MakeMap(v.Type())
	for _, f := range fields {
		one := reflect.New(v.Type().Elem()).Elem()
		if err := decodeAt(join(path, f.Name), f.Value, one); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(f.Name).Convert(v.Type().Key()), one)
	}
	v.Set(m)
	return nil
}

func decodeSlice(path string, raw json.RawMessage, v reflect.Value) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || items == nil {
		return wrong(path, "it must be a list")
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := decodeAt(fmt.Sprintf("%s[%d]", path, i), item, list.Index(i)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func wrong(path, format string, args ...any) error {
	if path == "" {
		return fmt.Errorf(format, args...)
	}
	return fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
}
