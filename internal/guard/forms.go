package guard

import (
	"bytes"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// forms lists the spellings of a secret that programs write: as it is, escaped
// for JSON (once, and twice for JSON inside JSON) and for Go's %q, escaped for
// the parts of a URL and for HTML (as package html and html/template do), in base64,
// once and twice, base32 and hexadecimal, and backwards. Spellings that are part of the mask itself are left out, since
// hiding those cannot end.
func forms(secret string) []string {
	all := []string{secret, goEscape(secret)}
	for _, html := range []bool{true, false} {
		once := jsonEscape(secret, html)
		all = append(all, once, jsonEscape(once, html))
	}
	for _, u := range []string{url.QueryEscape(secret), url.PathEscape(secret), url.User(secret).String()} {
		all = append(all, u, lowerHex(u))
	}
	for _, s := range []string{secret, goEscape(secret), jsonEscape(secret, false)} {
		page := html.EscapeString(s)
		all = append(all, page, strings.ReplaceAll(page, "+", "&#43;"))
	}
	all = slices.Concat(all, base64Forms(secret), base32Forms(secret), backwards(secret))
	digits := hex.EncodeToString([]byte(secret))
	all = append(all, digits, strings.ToUpper(digits))
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(all, func(f string) bool {
		return len(f) < MinSecret || strings.Contains(`"`+Mask+`"`, f)
	})
}

// pieces are the parts of a secret that give it away by themselves: its long lines,
// and, of one that is JSON, its long strings.
func pieces(secret string) []string {
	all := longLines(secret)
	var v any
	if !isDocument(secret) || json.Unmarshal([]byte(secret), &v) != nil {
		return all
	}
	each(v, func(text string) {
		if len(text) >= longPiece {
			all = append(append(all, text), longLines(text)...)
		}
	})
	return all
}

// longPiece is the length in bytes from which on a part gives a secret away.
const longPiece = 20

// each calls f for the strings in a JSON value.
func each(v any, f func(string)) {
	switch v := v.(type) {
	case string:
		f(v)
	case []any:
		for _, v := range v {
			each(v, f)
		}
	case map[string]any:
		for _, v := range v {
			each(v, f)
		}
	}
}

// longLines are the lines of a secret of several that are secret by themselves:
// output shows them apart, with numbers between, say.
func longLines(secret string) []string {
	if !strings.Contains(secret, "\n") {
		return nil
	}
	var all []string
	for line := range strings.Lines(secret) {
		if line = strings.TrimSpace(line); len(line) >= longPiece && !strings.HasPrefix(line, "-----") {
			all = append(all, line)
		}
	}
	return all
}

func goEscape(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}

func jsonEscape(s string, html bool) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(html)
	enc.Encode(s) // never fails for a string
	q := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return string(q[1 : len(q)-1])
}

// lowerHex turns %2F into %2f, as some encoders write it.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// inside gives the characters that stand for the secret inside any text that holds it, in
// an encoding that makes so many characters of so many bytes. They depend on how many
// bytes come before it, modulo those; characters shared with the bytes around it are left
// out.
func inside(secret string, bytes, chars int, encode func([]byte) string) []string {
	var all []string
	for before := range bytes {
		s := encode(append(make([]byte, before), secret...))
		all = append(all, s[(before*chars+bytes-1)/bytes:(before+len(secret))*chars/bytes])
	}
	return all
}

// base64Forms are those in base64, also in that of a URL, and in base64 of base64.
func base64Forms(secret string) []string {
	all := inside(secret, 3, 4, base64.StdEncoding.EncodeToString)
	for _, once := range all {
		all = append(all, inside(once, 3, 4, base64.StdEncoding.EncodeToString)...)
	}
	return append(all, inside(secret, 3, 4, base64.URLEncoding.EncodeToString)...)
}

// base32Forms are those in base32, in capitals, which RFC 4648 has, and in small letters.
func base32Forms(secret string) []string {
	all := inside(secret, 5, 8, base32.StdEncoding.EncodeToString)
	for _, s := range all {
		all = append(all, strings.ToLower(s))
	}
	return all
}

// backwards is a secret from its last character to the first, as rev has it, where that
// is nothing that texts have anyway.
func backwards(secret string) []string {
	all := []rune(secret)
	slices.Reverse(all)
	if s := string(all); !Commonplace(s) {
		return []string{s}
	}
	return nil
}
