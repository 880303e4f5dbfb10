package guard_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/guard"
)

// However a text is cut, no secret comes out, nothing else is lost, and what
// comes out is what hiding them in the whole text gives: but where something sets
// hexadecimal digits apart, such as an x, for which bytes are told by where they begin.
func TestStreamHidesAcrossPieces(t *testing.T) {
	t.Parallel()
	secrets := []string{"aaaabbbbcccc", "bbbbccccdddd", "token-123456789", "aaaaaaaab"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			secrets[0], secrets[1], secrets[2], secrets[3], "aaaa", "bbbb", "cccc", "dddd", "token-", "1234", "y", "\n", "dG9rZW4tMTIzNDU2Nzg5",
		}), 1, 12).Draw(t, "pieces"), "")
		r := guard.NewRedactor(secrets...)
		var out strings.Builder
		s := r.Stream(func(piece string) { out.WriteString(piece) })
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			s.Write(rest[:n])
			for _, secret := range secrets {
				if strings.Contains(out.String(), secret) {
					t.Fatalf("%q came out of %q: %q", secret, text, out.String())
				}
			}
			rest = rest[n:]
		}
		s.Close()
		if got, want := out.String(), r.String(text); got != want {
			t.Fatalf("%q became %q, want %q", text, got, want)
		}
	})
}

func TestStreamHoldsNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	var out string
	s := guard.NewRedactor("token-123456789").Stream(func(piece string) { out += piece })
	s.Write("hello tok")
	if out != "hello " {
		t.Errorf("came at once: %q", out)
	}
	s.Write("yo to")
	if out != "hello tokyo " {
		t.Errorf("then: %q", out)
	}
	s.Reset()
	s.Write("again token-1234567")
	s.Write("89!")
	s.Close()
	if out != "hello tokyo again [redacted]!" {
		t.Errorf("in the end: %q", out)
	}
	out = ""
	s.Write("0000 11 22 33 44")
	if out != "" {
		t.Errorf("of a line that may be one of a dump came: %q", out)
	}
	if s.Write(strings.Repeat(" 55", 100)); len(out) < 300 {
		t.Errorf("of a line that is too long for one of a dump came: %q", out)
	}
	none := (*guard.Redactor)(nil).Stream(func(piece string) { out = piece })
	if none.Write("token-123456789"); out != "token-123456789" {
		t.Errorf("without a redactor: %q", out)
	}
}

func TestWhatIsLeftOfASecretAtACut(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor("token-123456789", "x\nshort\n-----BEGIN KEY\nMIIEvgIBADANBgkqhkiG9w0BAQEF\n")
	for in, want := range map[string]string{
		"a token-1234…":                      "a [redacted]…",
		"a …456789 b":                        "a …[redacted] b",
		"token-123…3456789 and more…":        "[redacted]…[redacted] and more…",
		"a tok…":                             "a tok…",
		"token-1234":                         "token-1234",
		"…9 lines":                           "…9 lines",
		"nothing … here":                     "nothing … here",
		"   4\tMIIEvgIBADANBgkqhkiG9w0BAQEF": "   4\t[redacted]",
		"   5\tshort":                        "   5\tshort",
	} {
		if got := r.Cut(r.String(in)); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := (*guard.Redactor)(nil).Cut("a…"); got != "a…" {
		t.Errorf("nil: %q", got)
	}
}
