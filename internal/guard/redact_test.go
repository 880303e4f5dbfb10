package guard_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"mgx/internal/guard"
)

const awkward = "p@ss\"w/o\\rd <&> +=%\nend" // needs escaping everywhere

func TestString(t *testing.T) {
	t.Parallel()
	quoted, _ := json.Marshal(awkward)
	twice, _ := json.Marshal(string(quoted))
	for name, tc := range map[string]struct{ in, want string }{
		"nothing":        {"all is well", "all is well"},
		"empty":          {"", ""},
		"plain":          {"key sk-abcdefgh1 end", "key [redacted] end"},
		"twice":          {"sk-abcdefgh1sk-abcdefgh1", "[redacted][redacted]"},
		"longest first":  {"sk-abcdefgh1-long", "[redacted]"},
		"overlapping":    {"x first-half-second y", "x [redacted] y"},
		"json":           {`{"a":` + string(quoted) + `}`, `{"a":"[redacted]"}`},
		"json in json":   {`{"a":` + string(twice) + `}`, `{"a":"\"[redacted]\""}`},
		"json in text":   {`body: {"a":` + string(quoted) + `}`, `body: {"a":"[redacted]"}`},
		"json key":       {`{"sk-abcdefgh1":1}`, `{"[redacted]":1}`},
		"unicode escape": {`{"a":"\u0073k-abcdefgh1"}`, `{"a":"[redacted]"}`},
		"escaped slash":  {`["https:\/\/slash\/es"]`, `["https:[redacted]"]`},
		"json number":    {`{"ms":4815162342,"n":7}`, `{"ms":0,"n":7}`},
		"bare number":    {"4815162342", "[redacted]"},
		"query":          {"?q=" + url.QueryEscape(awkward) + "&b=1", "?q=[redacted]&b=1"},
		"userinfo":       {(&url.URL{Scheme: "http", User: url.UserPassword("me", awkward), Host: "h"}).String(), "http://me:[redacted]@h"},
		"go quoted":      {fmt.Sprintf("bad value %q", awkward), `bad value "[redacted]"`},
		"query, lower":   {strings.ReplaceAll(url.QueryEscape("sl/ash/es"), "%2F", "%2f"), "[redacted]"},
		"json² in text":  {"body: " + string(twice), `body: "\"[redacted]\""`},
		"go not json":    {fmt.Sprintf("%q", "\abell-secret"), `"[redacted]"`},
		"beside a mask":  {"sk-abcdefgh1xxxxxx", "[redacted]"},
		"no guessing":    {"sk-abcdefgh2", "sk-abcdefgh2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := guard.NewRedactor("sk-abcdefgh1", "sk-abcdefgh1-long", "first-half", "half-second", awkward, "//slash/es", "4815162342", "short",
				"sl/ash/es", "\abell-secret", "ed]xxxxxx")
			if got := r.String(tc.in); got != tc.want {
				t.Errorf("String(%q) = %q, want %q", tc.in, got, tc.want)
			}
			if got := string(r.Bytes([]byte(tc.in))); got != tc.want {
				t.Errorf("Bytes(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

// The user name in front shifts the alignment of the secret in basic auth.
func TestBase64AtEveryAlignment(t *testing.T) {
	t.Parallel()
	const secret = "sk-ab>cd?fgh1"
	r := guard.NewRedactor(secret)
	for before := range 4 {
		for after := range 4 {
			text := strings.Repeat("u", before) + secret + strings.Repeat("\n", after)
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
				in := enc.EncodeToString([]byte(text))
				if out := r.String("Basic " + in); !strings.Contains(out, guard.Mask) {
					t.Errorf("%d bytes before, %d after: %q stayed", before, after, out)
				}
			}
		}
	}
}

// A document whose syntax spells the secret cannot be mended string by string.
func TestSecretAcrossJSONSyntax(t *testing.T) {
	t.Parallel()
	account := `{"type":"service_account","key":"k"}`
	r := guard.NewRedactor(account)
	if got, want := r.String(`{"env":`+account+`}`), `"[redacted]"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestBytesKeepsItsInput(t *testing.T) {
	t.Parallel()
	r := guard.NewRedactor("sk-abcdefgh1")
	clean, dirty := []byte("nothing here"), []byte("see sk-abcdefgh1")
	if got := r.Bytes(clean); &got[0] != &clean[0] {
		t.Error("clean bytes were copied")
	}
	r.Bytes(dirty)
	if string(dirty) != "see sk-abcdefgh1" {
		t.Errorf("input became %q", dirty)
	}
}

func TestAddWhileRedacting(t *testing.T) {
	t.Parallel()
	var r guard.Redactor // the zero value works
	var wg sync.WaitGroup
	for i := range 8 {
		secret := fmt.Sprintf("secret-number-%d", i)
		wg.Go(func() {
			r.Add(secret)
			if got := r.String("a " + secret); got != "a "+guard.Mask {
				t.Errorf("got %q after Add(%q)", got, secret)
			}
		})
	}
	wg.Wait()
	for i := range 8 {
		secret := fmt.Sprintf("secret-number-%d", i)
		if got := r.String(secret); got != guard.Mask {
			t.Errorf("%q was forgotten: %q", secret, got)
		}
	}
}

// Whatever the secrets and wherever they stand, in whatever spelling, none of
// them can be read from the result, and JSON stays JSON.
func TestNoSecretSurvives(t *testing.T) {
	t.Parallel()
	alphabet := rapid.SampledFrom([]rune("ab\"\\/%+=-[]redact \n\tü<&0"))
	secretGen := rapid.StringOfN(alphabet, guard.MinSecret, 14, -1)
	rapid.Check(t, func(t *rapid.T) {
		secrets := rapid.SliceOfN(secretGen, 1, 4).Draw(t, "secrets")
		piece := rapid.OneOf(rapid.StringOfN(alphabet, 0, 6, -1), rapid.Map(rapid.SampledFrom(secrets), func(s string) string { return s }))
		text := strings.Join(rapid.SliceOfN(piece, 1, 8).Draw(t, "pieces"), "")
		r := guard.NewRedactor(secrets...)
		quoted, _ := json.Marshal(text)
		doc, _ := json.Marshal(map[string]any{"text": text, "list": []string{text, string(quoted)}, text: 1})
		for _, in := range []string{text, string(quoted), string(doc), "log: " + string(doc), url.QueryEscape(text)} {
			checkHidden(t, r, in, secrets)
		}
	})
}

// checkHidden redacts in and fails if a secret is left or JSON was broken.
func checkHidden(t rapid.TB, r *guard.Redactor, in string, secrets []string) {
	out := r.String(in)
	var value any
	if json.Unmarshal([]byte(in), &value) == nil && strings.ContainsAny(in[:1], `{["`) {
		if err := json.Unmarshal([]byte(out), &value); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
	}
	for _, s := range secrets {
		if strings.Contains(`"`+guard.Mask+`"`, s) {
			continue
		}
		if strings.Contains(out, s) || strings.Contains(fmt.Sprint(value), s) {
			t.Fatalf("%q stays in %q of %q", s, out, in)
		}
	}
	if again := r.String(out); again != out {
		t.Fatalf("a second pass turns %q into %q", out, again)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("sk-abcdefgh1", `{"a":"`, `"}`)
	f.Add("ed]xxxxxx", "sk-", "xxxxxx")
	f.Add("nabcdefgh", `["\`, `"]`)
	f.Add("12345678", `[`, `]`)
	f.Add(`a","b":"c`, `{"x":"`, `"}`)
	f.Add("\xff\xfe\xfd\xfc1234", "\xff", "\\u00")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		if len(secret) < guard.MinSecret || len(secret)+len(before)+len(after) > 1<<12 {
			t.Skip("not a secret, or larger than what this target is for")
		}
		r := guard.NewRedactor(secret, "sk-abcdefgh1")
		escaped, _ := json.Marshal(secret)
		for _, middle := range []string{secret, string(escaped[1 : len(escaped)-1]), url.QueryEscape(secret), base64.StdEncoding.EncodeToString([]byte(secret))} {
			in := before + middle + after
			out := r.String(in)
			if json.Valid([]byte(in)) && strings.ContainsAny(in[:1], `{["`) && !json.Valid([]byte(out)) {
				t.Fatalf("%q became %q", in, out)
			}
			if strings.Contains(out, middle) && len(middle) >= guard.MinSecret && !strings.Contains(`"`+guard.Mask+`"`, middle) {
				t.Fatalf("%q stays in %q of %q", middle, out, in)
			}
		}
	})
}

func BenchmarkStringClean(b *testing.B) {
	var secrets []string
	for i := range 10 {
		secrets = append(secrets, fmt.Sprintf("sk-proj-%d-%s", i, base64.StdEncoding.EncodeToString([]byte{byte(i), 1, 2, 3, 4, 5, 6})))
	}
	r := guard.NewRedactor(secrets...)
	line := `{"role":"assistant","text":"The quick brown fox jumps over the lazy dog; package main; func main() { fmt.Println(1) }"}` + "\n"
	text := strings.Repeat(line, 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.String(text)
	}
}
