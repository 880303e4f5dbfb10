package client

import (
	"fmt"
	"reflect"
	"unicode"
)

// presentable refuses names from a server, which are identifiers, states and the
// like, that hold what a name never holds: a server must not write to the terminal
// of whoever lists things there. Names are the strings that have a type of their
// own. Plain strings are words; who shows those cleans them.
func presentable(v any) error {
	return presentableValue(reflect.ValueOf(v))
}

func presentableValue(v reflect.Value) error {
	switch v.Kind() {
	case reflect.String:
		if v.Type().PkgPath() != "" && !isName(v.String()) {
			return fmt.Errorf("a %s has characters that no name has", v.Type().Name())
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return presentableValue(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if err := presentableValue(v.Field(i)); err != nil {
				return err
			}
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 { // bytes are decoded, and cleaned, by whoever shows them
			return nil
		}
		for i := range v.Len() {
			if err := presentableValue(v.Index(i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for pair := v.MapRange(); pair.Next(); {
			for _, part := range []reflect.Value{pair.Key(), pair.Value()} {
				if err := presentableValue(part); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func isName(s string) bool {
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}
