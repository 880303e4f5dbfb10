package guard

import (
	"strings"
	"testing"
	"unicode"

	"mgx"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"shop": "shop", "  a b \n": "a b", "Žofie 李 🙂 العربية हिन्दी": "Žofie 李 🙂 العربية हिन्दी", "": "", strings.Repeat("李", 100): strings.Repeat("李", 100), "a\u00a0b": "a\u00a0b",
	} {
		if got, err := Line("bad_name", "a name", text, 100); err != nil || got != want {
			t.Errorf("%q is kept as %q, %v", text, got, err)
		}
	}
	bad := map[string]string{"\xff": "UTF-8", strings.Repeat("李", 101): "at most 100"}
	for _, r := range []rune{0, '\t', '\n', '\r', 0x1b, 0x7f, 0x85, 0x9b, 0xad, 0x61c, 0x115f, 0x200b, 0x200c, 0x200d, 0x200e, 0x202a, 0x202e, 0x2028, 0x2029, 0x2060, 0x2066, 0x2069, 0x2800, 0x3164, 0xe000, 0xfe0f, 0xfeff, 0xfff9, 0x1d173, 0xe0041, 0x10ffff} {
		bad["a"+string(r)+"b"] = "U+"
	}
	for text, why := range bad {
		got, err := Line("bad_name", "a name", text, 100)
		if !mgx.IsCode(err, "bad_name") || got != "" || !strings.Contains(err.Error(), why) || !strings.HasPrefix(err.Error(), "a name ") {
			t.Errorf("%q is kept as %q, %v", text, got, err)
		} else if strings.ContainsFunc(err.Error(), func(r rune) bool { return r > unicode.MaxASCII }) {
			t.Errorf("%q is refused with itself: %v", text, err)
		}
	}
}
