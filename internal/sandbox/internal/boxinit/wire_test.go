//go:build linux && (amd64 || arm64 || riscv64)

package boxinit

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// fill sets every field there is, so that one that the wire forgets is missed.
func fill(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field)
		}
	case reflect.Slice:
		n := rapid.IntRange(1, 3).Draw(t, "items")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i))
		}
	case reflect.String:
		v.SetString("x" + rapid.String().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "number") | 1)
	default:
		t.Fatalf("there is a %s now", v.Kind())
	}
}

func TestPlanArrivesAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sent Plan
		fill(t, reflect.ValueOf(&sent).Elem())
		got, err := decodePlan(sent.Encode()[lengthBytes:])
		if err != nil || !reflect.DeepEqual(got, sent) {
			t.Errorf("%+v became %+v, %v", sent, got, err)
		}
		var failure Failure
		fill(t, reflect.ValueOf(&failure).Elem())
		// What it says at last may come in the same piece.
		for _, last := range []string{"", string([]byte{filled})} {
			text := append(failure.encode(), last...)
			if ran, said, left, err := DecodeSaid(text); err != nil || ran || said != failure || string(left) != last {
				t.Errorf("%+v became %+v, %v, %q, %v", failure, said, ran, left, err)
			}
			if ran, said, left, err := DecodeSaid(append([]byte{begun}, text...)); err != nil || !ran || said != failure || string(left) != last {
				t.Errorf("%+v became %+v, %v, %q, %v", failure, said, ran, left, err)
			}
		}
	})
}

// TestBrokenMessages cuts a message anywhere: nothing that is not whole is taken
// for a plan, or for the word that all went well.
func TestBrokenMessages(t *testing.T) {
	whole := Plan{Args: []string{"true"}, Env: []string{"A=b"}, Dir: "/"}.Encode()[lengthBytes:]
	for n := range whole {
		if p, err := decodePlan(whole[:n]); err == nil {
			t.Errorf("%d of %d bytes: %+v", n, len(whole), p)
		}
	}
	if _, err := decodePlan(append(whole, 0)); err == nil {
		t.Error("more than a plan is one")
	}
	for _, text := range []string{"", "\x00", "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x7f", "\x01", "\x01\x00", "\x01\x00\x00\x00\x00", "\x01\x01\x00\x00\x00\x00\x00"} {
		ran, f, _, err := DecodeSaid([]byte(text))
		if err == nil || ran != strings.HasPrefix(text, "\x01") {
			t.Errorf("%q: %+v, %v", text, f, ran)
		}
	}
}
