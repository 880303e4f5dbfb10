package guard

import (
	"regexp"
	"slices"
	"strings"
)

// Links makes text of every address in a text whose host is not allowed, so that
// whoever shows it as Markdown or HTML, or turns addresses into links, follows and
// fetches nothing: "https[:]//host/path". It takes addresses wherever they stand
// (links, images, definitions of references, autolinks, tags, plain text), in any
// case, with a scheme that says where to go or that holds content itself, without
// a scheme, and however Markdown lets them be escaped. Tags that fetch or act are
// taken apart. Doing it again changes nothing.
func Links(text string, allowed []string) string {
	var b strings.Builder
	lower := asciiLower(text)
	for i := 0; i < len(text); {
		n, out := address(text, lower, i, allowed)
		if n == 0 {
			n, out = 1, text[i:i+1]
		}
		b.WriteString(out)
		i += n
	}
	return b.String()
}

// HostsIn are the hosts of the addresses that a text names with http or https.
func HostsIn(text string) []string {
	var hosts []string
	lower := asciiLower(text)
	for _, scheme := range []string{"http://", "https://"} {
		for from := 0; ; {
			i := strings.Index(lower[from:], scheme)
			if i < 0 {
				break
			}
			from += i + len(scheme)
			if h := hostAt(lower[from:]); h != "" {
				hosts = append(hosts, h)
			}
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// asciiLower keeps every byte at its place, which strings.ToLower need not do, also where
// it keeps the length.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// Schemes that go somewhere, and those that are content or code themselves.
var (
	going   = []string{"http", "https", "ftp", "ftps", "ws", "wss", "file", "ssh", "git", "mailto"}
	holding = []string{"data", "javascript", "vbscript", "blob"}
)

// acting are tags that fetch, go somewhere or run something.
var acting = []string{
	"a", "area", "audio", "base", "body", "button", "embed", "form", "frame", "iframe", "image", "img", "input", "link", "math", "meta",
	"object", "picture", "script", "source", "style", "svg", "table", "td", "track", "video",
}

// entities are how Markdown and HTML let one write the characters of addresses.
var entities = []string{"&#", "&colon;", "&sol;", "&bsol;", "&period;", "&lpar;", "&commat;", "&tab;", "&newline;"}

// address looks at what begins at i: how much of the text it is, and what stands
// for it. Zero: nothing of interest.
func address(text, lower string, i int, allowed []string) (n int, out string) {
	switch c := lower[i]; {
	case c == '<':
		return tag(text, lower, i)
	case c == '&':
		for _, e := range entities {
			if strings.HasPrefix(lower[i:], e) {
				return len(e), "&amp;" + text[i+1:i+len(e)]
			}
		}
	case c == '/' || c == '\\':
		return schemeless(text, lower, i, allowed)
	case 'a' <= c && c <= 'z' && boundary(lower, i):
		return scheme(text, lower, i, allowed)
	}
	return 0, ""
}

// boundary reports whether a scheme may begin at i: also after a digit, since programs
// that look for addresses need no space before one.
func boundary(s string, i int) bool { return i == 0 || !('a' <= s[i-1] && s[i-1] <= 'z') }

func letter(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func tag(text, lower string, i int) (int, string) {
	at := i + 1
	if at < len(lower) && lower[at] == '/' {
		at++
	}
	end := at
	for end < len(lower) && letter(lower[end]) {
		end++
	}
	if end < len(lower) && strings.IndexByte(" \t\r\n\f/>", lower[end]) < 0 { // an autolink, whose address is looked at, or another name
		return 0, ""
	}
	if slices.Contains(acting, lower[at:end]) || end > at && acts(lower[end:]) {
		return 1, "< "
	}
	return 0, ""
}

// acts reports whether the rest of a tag has an attribute that runs something.
func acts(rest string) bool {
	if end := strings.IndexByte(rest, '>'); end >= 0 {
		rest = rest[:end]
	}
	return handler.MatchString(rest[:min(len(rest), 4<<10)])
}

var handler = regexp.MustCompile(`^[\s/](.*[\s/"'])?(on[a-z]+|style)\s*=`)

// scheme is a word that begins an address, or www.
func scheme(text, lower string, i int, allowed []string) (int, string) {
	end := i
	for end < len(lower) && letter(lower[end]) {
		end++
	}
	colon := end
	if strings.HasPrefix(lower[end:], `\:`) { // Markdown takes the backslash off
		colon++
	}
	if colon == len(lower) {
		return 0, ""
	}
	word, rest := lower[i:end], lower[colon+1:]
	switch {
	case lower[colon] == ':' && !slices.Contains(going, word) && rest != "" && rest[0] > ' ' && destination(lower[:i], rest):
		return apart(text, i, end, colon)
	case lower[end] == '.' && word == "www" && rest != "" && letter(rest[0]) && !slices.Contains(allowed, hostAt(lower[i:])):
		return end + 1 - i, text[i:end] + "[.]"
	case lower[colon] != ':' || rest == "" || rest[0] <= ' ':
	case slices.Contains(holding, word):
		return apart(text, i, end, colon)
	case slices.Contains(going, word), strings.HasPrefix(rest, "//") && (len(word) > 1 || i > 0 && strings.IndexByte("+-.", lower[i-1]) >= 0):
		host := strings.TrimLeft(rest, `\/`)
		if (word == "http" || word == "https") && strings.HasPrefix(rest, "//") && slices.Contains(allowed, hostAt(rest[2:])) {
			end = colon + 3 + len(hostAt(rest[2:]))
			return end - i, text[i:end]
		}
		if host != "" && (letter(host[0]) || host != rest || host[0] == '[') {
			return apart(text, i, end, colon)
		}
	}
	return 0, ""
}

// apart takes the scheme from i to end apart, before its colon. What follows must not make a
// link, or the definition of one, with the brackets.
func apart(text string, i, end, colon int) (int, string) {
	out := text[i:end] + "[:]"
	if colon+1 < len(text) && strings.IndexByte("([:", text[colon+1]) >= 0 {
		out += " "
	}
	return colon + 1 - i, out
}

// destination reports whether the word between these is the end of a scheme with which
// an address of Markdown begins: of any, since programs on a desktop answer to many.
// What names a line of a file is none.
func destination(before, after string) bool {
	at := strings.TrimRight(before, "abcdefghijklmnopqrstuvwxyz0123456789.+-")
	if strings.HasSuffix(before, ".") && '0' <= after[0] && after[0] <= '9' {
		return false
	}
	if end := strings.IndexAny(after, "<> \t\r\n"); strings.HasSuffix(at, "<") && end > 0 && after[end] == '>' {
		return true // an autolink
	}
	at = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(at, " \t"), "<"), " \t\r\n")
	return strings.HasSuffix(at, "](") || strings.HasSuffix(at, "]:")
}

// schemeless is an address that takes the scheme of the page: two slashes where an
// address may stand.
func schemeless(text, lower string, i int, allowed []string) (int, string) {
	if i+2 >= len(lower) || lower[i+1] != '/' && lower[i+1] != '\\' || !letter(lower[i+2]) && lower[i+2] != '[' && lower[i+2] != '/' && lower[i+2] != '\\' {
		return 0, ""
	}
	before := strings.TrimRight(lower[:i], " \t\n")
	if before == "" || !strings.ContainsRune(`(<"'=`, rune(before[len(before)-1])) && !strings.HasSuffix(before, "]:") {
		return 0, ""
	}
	if lower[i:i+2] == "//" && slices.Contains(allowed, hostAt(lower[i+2:])) {
		return 2, text[i : i+2]
	}
	return 1, text[i:i+1] + " "
}

// hostAt is the host that an authority begins with; empty when a program that follows
// addresses could read another: where a user is named before it, where Markdown would
// take a backslash away, or where what looks like the end of a host need not be one.
func hostAt(s string) string {
	authority := s
	if end := strings.IndexAny(s, "/?#<> \t\r\n"); end >= 0 {
		authority = s[:end]
	}
	if strings.ContainsAny(authority, `@%\`) {
		return ""
	}
	end := strings.IndexFunc(authority, func(r rune) bool { return r < 0x80 && r != '.' && r != '-' && !letter(byte(r)) })
	if end < 0 {
		return strings.TrimRight(authority, ".")
	}
	host, rest := authority[:end], authority[end:]
	if rest[0] == ':' {
		rest = strings.TrimLeft(rest[1:], "0123456789")
	}
	more := strings.IndexFunc(rest, func(r rune) bool { return r >= 0x80 || letter(byte(r)) }) >= 0
	if more && rest[0] != ']' { // "good.example;evil.example" is one host; no host goes on after a bracket
		return ""
	}
	return strings.TrimRight(host, ".")
}
