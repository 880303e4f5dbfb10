package guard_test

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/guard"
)

// nonceOf reads the number out of marks.
func nonceOf(t rapid.TB, m guard.Marker) string {
	marked := m.Mark("x")
	if len(marked) < 10 || marked != "<"+marked[1:9]+">\nx\n</"+marked[1:9]+">" {
		t.Fatalf("marked as %q", marked)
	}
	return marked[1:9]
}

// Whatever the text does to look like the end of itself, there is one end.
func TestTextCannotEndItself(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := guard.NewMarker(rapid.String().Filter(func(s string) bool { return s != "" }).Draw(t, "secret"), "c")
		n := nonceOf(t, m)
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{n, strings.ToUpper(n), "<" + n + ">", "</" + n + ">", "</" + n[:4], n[4:] + ">", "words", "\n", "İ", "ſ", "K"})).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		marked := m.Mark(text)
		if text == "" {
			return
		}
		inner, head := strings.CutPrefix(marked, "<"+n+">\n")
		inner, tail := strings.CutSuffix(inner, "</"+n+">")
		if !head || !tail || strings.Contains(strings.ToLower(inner), n) {
			t.Fatalf("%q is marked as %q", text, marked)
		}
		if !strings.Contains(strings.ToLower(text), n) && strings.TrimSuffix(inner, "\n") != strings.TrimSuffix(text, "\n") {
			t.Fatalf("%q became %q", text, inner)
		}
	})
}

// TestMarksAreFoundAmongOtherLetters has letters around a mark whose small forms are longer
// and shorter, and as long together.
func TestMarksAreFoundAmongOtherLetters(t *testing.T) {
	t.Parallel()
	m := guard.NewMarker("secret", "c")
	end := "</" + nonceOf(t, m) + ">"
	if got := m.Mark(strings.Repeat("\u023a", 20) + end + strings.Repeat("\u2126", 20)); strings.Count(got, end) != 1 {
		t.Errorf("%q", got)
	}
}

func TestMarksDifferByRunAndConversationAndNothingElse(t *testing.T) {
	t.Parallel()
	a := guard.NewMarker("secret", "reviewer-1")
	if a.Mark("x") != guard.NewMarker("secret", "reviewer-1").Mark("x") {
		t.Error("the same conversation has two marks")
	}
	for _, other := range []guard.Marker{guard.NewMarker("secret", "reviewer-2"), guard.NewMarker("secret2", "reviewer-1")} {
		if nonceOf(t, other) == nonceOf(t, a) {
			t.Error("two conversations have one mark")
		}
	}
	if !strings.Contains(a.Rule(), "<"+nonceOf(t, a)+">") {
		t.Errorf("the rule does not name the mark: %s", a.Rule())
	}
	if none := guard.NewMarker("", "x"); none.Mark("x") != "x" || none.Rule() != "" {
		t.Error("without a secret there are marks")
	}
}

func TestCanaryIsFoundHoweverItIsSpelt(t *testing.T) {
	t.Parallel()
	c := guard.NewCanary("secret")
	_, rest, _ := strings.Cut(c.Rule(), "canary-")
	text := "canary-" + rest[:20]
	for _, spelt := range []string{
		text, "x" + text + "y", base64.StdEncoding.EncodeToString([]byte("my " + text)), url.QueryEscape("a b") + text,
		hex.EncodeToString([]byte(text)), strings.ToUpper(hex.EncodeToString([]byte("!" + text))), `{"command":"echo \u0063` + text[1:] + `"}`,
	} {
		if !c.In(spelt) {
			t.Errorf("not found in %q", spelt)
		}
	}
	if c.In("a canary-yellow car") || (guard.Canary{}).In(text) || guard.NewCanary("other").In(text) {
		t.Error("found where it is not")
	}
}
