package web

import (
	"strings"
	"testing"
)

func TestNothingHidesOnAPage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`<p>plain ☃ text` + "\r\n\t" + `</p>`:                             `<p>plain ☃ text` + "\r\n\t" + `</p>`,
		"<p>a\u202eb\x1b[31m\u200b\u2028</p>":                             "<p>a&lt;U+202E&gt;b&lt;U+001B&gt;[31m&lt;U+200B&gt;&lt;U+2028&gt;</p>",
		"<p>\u2764\ufe0f \U0001f468\u200d\U0001f469 \U000e0041</p>":       "<p>\u2764 \U0001f468\U0001f469 &lt;U+E0041&gt;</p>",
		"<a title=\"x\u202ey\" href='z\u202e'>\u202e</a>":                 "<a title=\"xy\" href='z'>&lt;U+202E&gt;</a>",
		"<input name=\"path\" value=\"a\u202eb\" title=\"\u202e\">\u202e": "<input name=\"path\" value=\"a\u202eb\" title=\"\">&lt;U+202E&gt;",
		"<input data-value=\"a\u202eb\">":                                 "<input data-value=\"ab\">",
		"no tag \u202e":                                                   "no tag &lt;U+202E&gt;",
		"\u202e<p>":                                                       "&lt;U+202E&gt;<p>",
	} {
		if got := string(unhidden([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	page := []byte(strings.Repeat("<p>nothing hides here</p>", 1000))
	if got := unhidden(page); &got[0] != &page[0] {
		t.Error("a page without anything was made anew")
	}
}
