package guard_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/guard"
)

// wrapped has a text in lines of a width, each ended by end.
func wrapped(s string, width int, end string) string {
	var b strings.Builder
	for len(s) > width {
		b.WriteString(s[:width] + end)
		s = s[width:]
	}
	return b.String() + s
}

// spelt are ways to write a text that holds a secret, as programs do.
var spelt = map[string]func(string) string{
	"base64, 76 columns": func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 76, "\n") },
	"base64, MIME":       func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 76, "\r\n") },
	"base64, PEM":        func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 64, "\n") },
	"base64 in YAML":     func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 20, "\n    ") },
	"base64 in a log line": func(s string) string {
		return fmt.Sprintf("%q", wrapped(base64.URLEncoding.EncodeToString([]byte(s)), 30, "\n"))
	},
	"base64, a column":              func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), 1, "\n") },
	"wrapped by a terminal":         func(s string) string { return wrapped(s, 10, "\r\n") },
	"xxd -p":                        func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), 60, "\n") },
	"xxd, groups":                   func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), 4, " ") },
	"colons":                        func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), 2, ":") },
	"bytes":                         func(s string) string { return strings.ToUpper(wrapped(hex.EncodeToString([]byte(s)), 2, " ")) },
	"escapes of C":                  func(s string) string { return `\x` + wrapped(hex.EncodeToString([]byte(s)), 2, `\x`) },
	"an array":                      func(s string) string { return "{0x" + wrapped(hex.EncodeToString([]byte(s)), 2, ", 0x") + "}" },
	"strings of bytes":              func(s string) string { return `"` + wrapped(hex.EncodeToString([]byte(s)), 2, `", "`) + `"` },
	"entities":                      func(s string) string { return "&#x" + wrapped(hex.EncodeToString([]byte(s)), 2, ";&#x") + ";" },
	"all percent":                   func(s string) string { return "%" + wrapped(hex.EncodeToString([]byte(s)), 2, "%") },
	"percent here and there":        func(s string) string { return partly(s, "%%%02x") },
	"percent here and there, upper": func(s string) string { return partly(s, "%%%02X") },
	"JSON of JavaScript":            func(s string) string { return partly(s, `\u%04x`) },
	"JSON of C#":                    func(s string) string { return partly(s, `\u%04X`) },
	"JSON of PHP":                   func(s string) string { return strings.ReplaceAll(s, "/", `\/`) },
	"some bytes":                    func(s string) string { return partly(s, `\x%02x`) },
	"some entities":                 func(s string) string { return partly(s, "&#x%X;") },
	"entities of PHP":               func(s string) string { return partly(s, "&#%03d;") },
	"names of entities":             func(s string) string { return strings.NewReplacer("/", "&sol;", "+", "&plus;").Replace(s) },
	"for a shell":                   func(s string) string { return strings.NewReplacer("/", `\/`, "+", `\+`, "-", `\-`).Replace(s) },
	"base64 in a query":             func(s string) string { return partly(base64.StdEncoding.EncodeToString([]byte(s)), "%%%02X") },
}

func partly(s, escape string) string {
	var b strings.Builder
	for i := range len(s) {
		if i%3 == 1 {
			fmt.Fprintf(&b, escape, s[i])
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

const canarySecret = "whsec-5e3d9a7c1f/attack+Zq"

// TestSpellings finds a secret however it is spelt, in text, in documents and in pieces,
// and nothing of what stands around it is lost.
func TestSpellings(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor(canarySecret)
	for name, spell := range spelt {
		for _, before := range []string{"", "u:", strings.Repeat("-", 70), strings.Repeat("=", 80)} {
			in := "BEFORE " + spell(before+canarySecret+"==more") + " AFTER"
			doc, err := json.Marshal(map[string]string{"out": in})
			if err != nil {
				t.Fatal(err)
			}
			for kind, text := range map[string]string{"text": in, "document": string(doc)} {
				out := r.String(text)
				if !strings.Contains(out, guard.Mask) || strings.Count(out, guard.Mask) > 2 || !strings.Contains(out, "BEFORE ") || !strings.Contains(out, " AFTER") {
					t.Errorf("%s, %s after %q: %q became %q", name, kind, before, text, out)
				}
				if kind == "document" && !json.Valid([]byte(out)) {
					t.Errorf("%s: no JSON any more: %s", name, out)
				}
				if r.Holds(out) {
					t.Errorf("%s: it is still in %q", name, out)
				}
			}
			for at := range in {
				var got strings.Builder
				s := r.Stream(func(piece string) { got.WriteString(piece) })
				s.Write(in[:at])
				s.Write(in[at:])
				s.Close()
				if got.String() != r.String(in) {
					t.Errorf("%s, cut at %d: %q, want %q", name, at, got.String(), r.String(in))
				}
			}
		}
	}
}

// TestSpellingsInPieces has any of them written in pieces of any length.
func TestSpellingsInPieces(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor(canarySecret)
	var names []string
	for name := range spelt {
		if name != "xxd, groups" { // a piece that ends within a byte may hide where bytes begin
			names = append(names, name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SampledFrom([]string{"", "line\n", "12 34 ", "50%", `a\`}).Draw(t, "before") +
			spelt[rapid.SampledFrom(names).Draw(t, "spelt")](rapid.StringMatching(`[a-z ]{0,90}`).Draw(t, "u")+canarySecret) +
			rapid.SampledFrom([]string{"", "\nline", " 12", "%", `\`}).Draw(t, "after")
		var got strings.Builder
		s := r.Stream(func(piece string) { got.WriteString(piece) })
		for rest := in; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			s.Write(rest[:n])
			rest = rest[n:]
		}
		s.Close()
		if want := r.String(in); got.String() != want || !strings.Contains(want, guard.Mask) {
			t.Fatalf("%q became %q in pieces, %q at once", in, got.String(), want)
		}
	})
}

// TestWhatIsNoSecret looks like a spelling and is none: it stays as it was.
func TestWhatIsNoSecret(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor(canarySecret)
	for _, in := range []string{
		"50% of 73:65:63:72:65:74:73:21:00", "a\nb\r\n\tc\\nd\\", "%", "%4", "%zz%41", "2026-11-29 08:12:30.123456", "12:34", "de ad be ef de ad be ef 0", "",
	} {
		if got := r.String(in); got != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// TestWhatIsNotRecognised is the list in docs/injection.md: who mends one of these takes
// it from there.
func TestWhatIsNotRecognised(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor(canarySecret)
	digits := hex.EncodeToString([]byte(canarySecret))
	for name, in := range map[string]string{
		"offsets between lines": "00000000: " + digits[:32] + "  whsec-5e3d9a7c1f\n00000010: " + digits[32:],
		"twice base64":          base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte("x" + canarySecret)))),
		"backwards":             "qZ+kcatta/f1c7a9d3e5-ceshw",
		"two values":            `["whsec-5e3d9a", "7c1f/attack+Zq"]`,
		"decimal bytes":         strings.Trim(strings.ReplaceAll(fmt.Sprint([]byte(canarySecret)), " ", ", "), "[]"),
	} {
		if got := r.String(in); got != in {
			t.Errorf("%s is recognised, and docs/injection.md says that it is not: %q", name, got)
		}
	}
}
