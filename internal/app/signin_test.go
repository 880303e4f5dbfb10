package app_test

import (
	"net/url"
	"strings"
	"testing"

	"mgx/internal/app"
)

// Whoever is sent to sign in by a link of somebody else ends up on this server.
func TestNext(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "/", "/": "/", "/runs/run_1?tab=diff": "/runs/run_1?tab=diff", "/a%20b": "/a%20b", "/a#b": "/a",
		"//evil.example.com": "/", "///evil.example.com": "/", "/\\evil.example.com": "/", "\\/evil.example.com": "/", "/%5cevil": "/", "/%2fevil.example.com": "/",
		"https://evil.example.com": "/", "https:/evil": "/", "javascript:alert(1)": "/", "evil.example.com": "/", "@evil.example.com": "/", " /a": "/", "/a b": "/",
		"/\t/evil.example.com": "/", "/\n/evil": "/", "/a\r\nSet-Cookie: x": "/", "/a?b=\\c": "/", "/%zz": "/", "/a\x7f": "/", "//jo@/a": "/", "http:///evil": "/", "/" + strings.Repeat("a", 1000): "/",
	} {
		if got := app.Next(text); got != want {
			t.Errorf("%q leads to %q, want %q", text, got, want)
		}
	}
}

func FuzzNext(f *testing.F) {
	f.Add("/runs?x=1")
	f.Add("//evil.example.com")
	base, _ := url.Parse("https://mgx.example.com/signin")
	f.Fuzz(func(t *testing.T, text string) {
		got := app.Next(text)
		u, err := base.Parse(got)
		if err != nil || u.Host != "mgx.example.com" || u.Scheme != "https" || strings.ContainsAny(got, "\\\r\n\t ") || strings.HasPrefix(got, "//") {
			t.Fatalf("%q leads to %q", text, got)
		}
	})
}
