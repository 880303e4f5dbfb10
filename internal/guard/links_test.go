package guard_test

import (
	"slices"
	"strings"
	"testing"

	"mgx/internal/guard"
)

func TestLinks(t *testing.T) {
	t.Parallel()
	allowed := []string{"good.example"}
	for in, want := range map[string]string{
		"see https://good.example/a?b=c#d.":          "see https://good.example/a?b=c#d.",
		"[x](https://good.example:8443/a)":           "[x](https://good.example:8443/a)",
		"![i](https://evil.example/p.png?d=1)":       "![i](https[:]//evil.example/p.png?d=1)",
		"[x](HTTP://evil.example)":                   "[x](HTTP[:]//evil.example)",
		"<https://evil.example>":                     "<https[:]//evil.example>",
		"[x][1]\n\n[1]: http://evil.example/ref":     "[x][1]\n\n[1]: http[:]//evil.example/ref",
		"[1]: //evil.example/ref":                    "[1]: / /evil.example/ref",
		"[x](//evil.example) <a href='//e.example'>": "[x](/ /evil.example) < a href='/ /e.example'>",
		"![x](/\\evil.example)":                      "![x](/ \\evil.example)",
		"[x](http:\\/\\/evil.example)":               "[x](http[:]\\/\\/evil.example)",
		"[x](http:evil.example)":                     "[x](http[:]evil.example)",
		"![x](http\\://evil.example/p.png?d=1)":      "![x](http[:]//evil.example/p.png?d=1)",
		"[1]: https\\:\\/\\/evil.example":            "[1]: https[:]\\/\\/evil.example",
		"[x](https\\://good.example/a)":              "[x](https\\://good.example/a)",
		"[x](vscode://evil.example/install)":         "[x](vscode[:]//evil.example/install)",
		"[x](mailto:e@evil.example?body=d)":          "[x](mailto[:]e@evil.example?body=d)",
		"[x](&#104;ttp://evil.example)":              "[x](&amp;#104;ttp[:]//evil.example)",
		"[x](http&colon;//evil.example)":             "[x](http&amp;colon;//evil.example)",
		"<img src=x onerror=alert(1)>":               "< img src=x onerror=alert(1)>",
		"</a><SCRIPT>x</SCRIPT>":                     "< /a>< SCRIPT>x< /SCRIPT>",
		"data:image/png;base64,AAAA":                 "data[:]image/png;base64,AAAA",
		"[x](javascript:alert(1))":                   "[x](javascript[:]alert(1))",
		"www.evil.example and www.good.example":      "www[.]evil.example and www[.]good.example",
		"https://good.example@evil.example/":         "https[:]//good.example@evil.example/",
		"https://good.example.evil.example/":         "https[:]//good.example.evil.example/",
		"https://good.example%2eevil.example/":       "https[:]//good.example%2eevil.example/",
		"https://[::1]/x":                            "https[:]//[::1]/x",
		// A host that is allowed is not the beginning of another.
		"https://good.example;@evil.example/":                "https[:]//good.example;@evil.example/",
		"[x](https://good.example,evil.example/)":            "[x](https[:]//good.example,evil.example/)",
		"[x](https://good.example\\@evil.example/)":          "[x](https[:]//good.example\\@evil.example/)",
		"[x](https://good.example\\.evil.example/)":          "[x](https[:]//good.example\\.evil.example/)",
		"[x](https://good.example().evil.example/)":          "[x](https[:]//good.example().evil.example/)",
		"[x](<https://good.example).evil.example/>)":         "[x](<https[:]//good.example).evil.example/>)",
		"https://good.example:80'.evil.example":              "https[:]//good.example:80'.evil.example",
		"https://good.example\u3002evil.example":             "https[:]//good.example\u3002evil.example",
		"(https://good.example), 'https://good.example'":     "(https://good.example), 'https://good.example'",
		"[https://good.example](https://good.example)":       "[https://good.example](https://good.example)",
		"**https://good.example:80**; https://good.example.": "**https://good.example:80**; https://good.example.",
		// Any scheme may do something.
		"[x](tel:0123) [y](<vscode:extension/e>)": "[x](tel[:]0123) [y](<vscode[:]extension/e>)",
		"\xb0http://e.example \u212a":             "\xb0http[:]//e.example \u212a",
		`[x](http://good.example".evil.example/)`: `[x](http[:]//good.example".evil.example/)`,
		`see "http://good.example", "x"`:          `see "http://good.example", "x"`,
		"[x](s:://e) data:://e":                   "[x](s[:] ://e) data[:] ://e",
		"[x](s:(vscode:e/e))":                     "[x](s[:] (vscode:e/e))", "[x](s:[y]": "[x](s[:] [y]",
		"[x](ms-settings\\:e) [y](a.md:12)":        "[x](ms-settings[:]e) [y](a.md:12)",
		"[x]: vscode:e\n[y]:\n <ms-word:e>":        "[x]: vscode[:]e\n[y]:\n <ms-word[:]e>",
		"<vscode:e> [x]( vscode:e) [x](\nv:e)":     "<vscode[:]e> [x]( vscode[:]e) [x](\nv[:]e)",
		"[x](<  vscode:e>) [x](java&Tab;script:e)": "[x](<  vscode[:]e>) [x](java&amp;Tab;script:e)",
		"1http://evil.example x-y://e":             "1http[:]//evil.example x-y[:]//e",
		"<b onclick = x> <i\nstyle='x'>":           "< b onclick = x> < i\nstyle='x'>",
		// What is no address stays.
		"<b>on = 1</b> if a <b && on = c":     "<b>on = 1</b> if a <b && on = c",
		"Map<K:V> x::y std::vec<a::b>":        "Map<K[:]V> x::y std::vec<a[:] :b>",
		"Map<String, List<T>> // a comment":   "Map<String, List<T>> // a comment",
		"case x: // next\nhttp: the protocol": "case x: // next\nhttp: the protocol",
		"data: three rows; a/b//c":            "data: three rows; a/b//c",
		"git: fix the parser":                 "git: fix the parser",
		"a < b && c":                          "a < b && c",
		"":                                    "",
	} {
		got := guard.Links(in, allowed)
		if got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
		if again := guard.Links(got, allowed); again != got {
			t.Errorf("%q, and again %q", got, again)
		}
	}
}

func TestHostsIn(t *testing.T) {
	t.Parallel()
	got := guard.HostsIn("Do as HTTPS://Docs.Example/x says, and (http://b.example:80), not http://u@c.example/ nor ftp://d.example")
	if !slices.Equal(got, []string{"b.example", "docs.example"}) {
		t.Errorf("got %q", got)
	}
}

func FuzzLinks(f *testing.F) {
	for _, s := range []string{"[x](https://evil/", "<a href=//e", "&#104;ttp://x", "HTTP:\\\\x", "www.a", "İhttp://e", "[x](http\\://e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := guard.Links(s, []string{"good.example"})
		if again := guard.Links(out, []string{"good.example"}); again != out {
			t.Fatalf("%q, and again %q", out, again)
		}
		lower := strings.ToLower(out)
		for _, bad := range []string{"](http://e", "](http\\://e", "<img ", "<img>", "<img/", "<script>", "](//e", "](data:i", "](javascript:a"} {
			if strings.Contains(lower, bad) {
				t.Fatalf("%q became %q", s, out)
			}
		}
	})
}
