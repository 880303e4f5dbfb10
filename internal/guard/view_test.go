package guard_test

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"mime/quotedprintable"
	"regexp"
	"slices"
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
	"base64 twice": func(s string) string {
		return wrapped(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(s)))), 76, "\n")
	},
	"base32": func(s string) string { return wrapped(base32.StdEncoding.EncodeToString([]byte(s)), 76, "\n") },
	"base32, no padding": func(s string) string {
		return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(s))
	},
	"base32, lower":         func(s string) string { return strings.ToLower(base32.StdEncoding.EncodeToString([]byte(s))) },
	"quoted-printable":      quotedPrintable,
	"quoted-printable, all": func(s string) string { return "=" + wrapped(strings.ToUpper(hex.EncodeToString([]byte(s))), 2, "=") },
	"backwards":             backwards,
	"apart":                 func(s string) string { return wrapped(s, 1, " ") },
	"apart, in quotes":      func(s string) string { return fmt.Sprintf("%q", wrapped(s, 1, " ")) },
	"a list of Go":          func(s string) string { return fmt.Sprint([]byte(s)) },
	"a list of Rust":        func(s string) string { return "vec!" + strings.ReplaceAll(fmt.Sprint([]byte(s)), " ", ", ") },
	"decimal bytes of od":   func(s string) string { return wrapped(strings.Trim(fmt.Sprintf("%4d", []byte(s)), "[]"), 5*16, "\n") },
	"base64 in a query":     func(s string) string { return partly(base64.StdEncoding.EncodeToString([]byte(s)), "%%%02X") },
}

func quotedPrintable(s string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func backwards(s string) string {
	all := []rune(s)
	slices.Reverse(all)
	return string(all)
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
			want := r.String(in)
			for at := 0; at < len(in); at += 1 + len(before)/16 {
				var got strings.Builder
				s := r.Stream(func(piece string) { got.WriteString(piece) })
				s.Write(in[:at])
				s.Write(in[at:])
				s.Close()
				if got.String() != want {
					t.Errorf("%s, cut at %d: %q, want %q", name, at, got.String(), want)
				}
			}
		}
	}
}

// dumps are what programs print of the bytes of a text, with where they stand.
var dumps = map[string]func([]byte) string{
	"hexdump -C":   hex.Dump,
	"xxd":          func(b []byte) string { return dump(b, "%08x:", " %02x%02x", "  %s") },
	"xxd -g 4":     func(b []byte) string { return dump(b, "%08x:", " %02x%02x%02x%02x", "  %s") },
	"xxd -u":       func(b []byte) string { return dump(b, "%08X:", " %02X%02X", "  %s") },
	"od -tx1":      func(b []byte) string { return dump(b, "%07o", " %02x", "") },
	"od -tx1z":     func(b []byte) string { return dump(b, "%07o", " %02x", "  >%s<") },
	"curl --trace": func(b []byte) string { return dump(b, "%04x:", " %02x", " %s") },
	"tcpdump -X":   func(b []byte) string { return dump(b, "\t0x%04x: ", " %02x%02x", "  %s") },
	"hexdump":      func(b []byte) string { return swapped(dump(b, "%07x", " %02x%02x", "")) },
	"od -x":        func(b []byte) string { return swapped(dump(b, "%07o", " %02x%02x", "")) },
}

// dump has lines of 16 bytes.
func dump(b []byte, offset, group, shown string) string {
	var out strings.Builder
	for len(b)%16 != 0 {
		b = append(b, '.')
	}
	n := strings.Count(group, "%")
	for at := 0; at < len(b); at += 16 {
		fmt.Fprintf(&out, offset, at)
		for i := at; i < at+16; i += n {
			var bytes []any
			for _, c := range b[i : i+n] {
				bytes = append(bytes, c)
			}
			fmt.Fprintf(&out, group, bytes...)
		}
		if shown != "" {
			fmt.Fprintf(&out, shown, b[at:at+16])
		}
		out.WriteString("\n")
	}
	return out.String()
}

// swapped has the two bytes of each group in the other order.
func swapped(dump string) string {
	return regexp.MustCompile(` (..)(..)\b`).ReplaceAllString(dump, " $2$1")
}

// TestDumps finds a secret in what programs print of bytes, wherever it begins, and
// nothing that is left has a part of it.
func TestDumps(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor(canarySecret)
	for name, dump := range dumps {
		for before := range 17 {
			last := strings.TrimSuffix(dump([]byte(strings.Repeat("u", before)+canarySecret)), "\n")
			if out := r.String(last); !strings.Contains(out, guard.Mask) || strings.Contains(out, "tack") {
				t.Errorf("%s, up to the end, after %d bytes: %q", name, before, out)
			}
			in := "BEFORE\n" + dump([]byte(strings.Repeat("u", before+16)+canarySecret+strings.Repeat("v", 40))) + "AFTER"
			out := r.String(in)
			if strings.Count(out, guard.Mask) != 1 || !strings.HasPrefix(out, "BEFORE\n") || !strings.HasSuffix(out, "\nAFTER") || r.Holds(out) {
				t.Errorf("%s, after %d bytes: %q", name, before, out)
			}
			for i := range len(canarySecret) - 3 {
				if strings.Contains(out, canarySecret[i:i+4]) {
					t.Errorf("%s, after %d bytes: %s is left in %q", name, before, canarySecret[i:i+4], out)
				}
			}
			for at := before; at < len(in); at += 17 {
				var got strings.Builder
				s := r.Stream(func(piece string) { got.WriteString(piece) })
				s.Write(in[:at])
				s.Write(in[at:])
				s.Close()
				if got.String() != out {
					t.Fatalf("%s, cut at %d: %q, want %q", name, at, got.String(), out)
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
		"xxd -b":             "00000000: " + strings.Trim(fmt.Sprintf("%08b", []byte(canarySecret)[:6]), "[]"),
		"octal bytes":        strings.Trim(fmt.Sprintf("%03o", []byte(canarySecret)), "[]"),
		"three times base64": base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(canarySecret)))))),
		"base64 of digits":   base64.StdEncoding.EncodeToString([]byte(digits)),
		"base64 backwards":   backwards(base64.StdEncoding.EncodeToString([]byte(canarySecret))),
		"two values":         `["whsec-5e3d9a", "7c1f/attack+Zq"]`,
	} {
		if got := r.String(in); got != in {
			t.Errorf("%s is recognised, and docs/injection.md says that it is not: %q", name, got)
		}
	}
}
