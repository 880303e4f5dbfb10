package guard

import (
	"html"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A view is a text as it reads once what programs put between the characters of a
// secret is taken out, with the way back. Looked at besides the text itself are its lines
// joined, the escapes of URLs, of mail, and of JSON and HTML undone, the hexadecimal
// digits in it without what separates bytes, characters and decimal bytes that stand
// apart, and the bytes of dumps. A view is made only of a text that has something to take
// out, so most texts cost no more than a look for that.
type view struct {
	text  string
	turns []turn // where the view leaves something out, in order
	ends  []int  // of what the turns begin, where each is hidden as a whole; nil: none is
	whole bool   // a character may stand for several bytes of the text
	begun int    // where the text ends in what may be the beginning of something left out
	open  int    // bytes at the end of the view that stand for what is begun, and may become others
}

// turn says that from a byte of the view on the text goes on elsewhere.
type turn struct{ view, text int }

// in returns where in the text a byte of the view is.
func (v *view) in(at int) int {
	i := v.after(at)
	switch {
	case i == 0:
		return at
	case v.ends != nil:
		return v.turns[i-1].text
	}
	return v.turns[i-1].text + at - v.turns[i-1].view
}

// after is how many turns there are up to a byte of the view.
func (v *view) after(at int) int {
	return sort.Search(len(v.turns), func(i int) bool { return v.turns[i].view > at })
}

// end returns where in the text a piece ends that ends before a byte of the view.
func (v *view) end(at int) int {
	switch {
	case v.ends != nil:
		return v.ends[v.after(at-1)-1]
	case v.whole:
		return v.in(at)
	}
	return v.in(at-1) + 1
}

// builder makes a view.
type builder struct {
	b     strings.Builder
	turns []turn
	next  int // byte of the text that would come next without a turn
}

// add takes a piece that stands in the text at a byte, and is there so long.
func (b *builder) add(piece string, at, width int) {
	b.from(at)
	b.b.WriteString(piece)
	if b.next = at + width; width != len(piece) {
		b.next = -1
	}
}

// copy takes what stands in the text from a byte up to another.
func (b *builder) copy(s string, from, to int) {
	if from < to {
		b.add(s[from:to], from, to-from)
	}
}

func (b *builder) from(at int) {
	if at != b.next {
		b.turns = append(b.turns, turn{b.b.Len(), at})
		b.next = at
	}
}

// view is what was taken of a text, up to where something is begun.
func (b *builder) view(begun int, whole bool) *view {
	b.from(begun)
	return &view{text: b.b.String(), turns: b.turns, whole: whole, begun: begun}
}

// views are the other ways to read a text.
func views(s string) []*view {
	dump := dumped(s, false)
	all := []*view{joinedLines(s), unescaped(s), ofMail(s), unquoted(s), bareDigits(s), spaced(s), decimals(s), dump}
	if dump != nil {
		all = append(all, dumped(s, true))
	}
	return slices.DeleteFunc(all, func(v *view) bool { return v == nil })
}

// joinedLines leaves out the ends of lines, also where they are written \n, and what the
// next one is indented by: as base64 has them after 64 or 76 characters.
func joinedLines(s string) *view {
	if !hasLines(s) {
		return nil
	}
	if line := strings.TrimRight(s, "\r\n"); !hasLines(line) {
		return &view{text: line, turns: []turn{{len(line), len(s)}}, begun: len(s)}
	}
	var b builder
	b.b.Grow(len(s))
	from, to := 0, len(strings.TrimSuffix(s, `\`))
	for i := 0; i < to; {
		if c := s[i]; c != '\n' && c != '\r' && c != '\\' {
			i++
			continue
		}
		n := lineEnd(s[i:])
		if n == 0 {
			i++
			continue
		}
		b.copy(s, from, i)
		i += n
		from = i
	}
	b.copy(s, from, to)
	return b.view(max(from, to), false)
}

// hasLines reports whether a text may have ends of lines.
func hasLines(s string) bool {
	return strings.IndexByte(s, '\n') >= 0 || strings.IndexByte(s, '\r') >= 0 || strings.IndexByte(s, '\\') >= 0
}

// lineEnd is the length of the ends of lines and the indentation that a text begins with.
func lineEnd(s string) int {
	n := 0
	for {
		rest := s[n:]
		switch {
		case strings.HasPrefix(rest, "\n"), strings.HasPrefix(rest, "\r"):
			n++
		case strings.HasPrefix(rest, `\n`), strings.HasPrefix(rest, `\r`):
			n += 2
		case n > 0 && rest != "" && (rest[0] == ' ' || rest[0] == '\t'):
			n++
		default:
			return n
		}
	}
}

// unescaped has the percent-escapes of a text undone, once.
func unescaped(s string) *view {
	at := strings.IndexByte(s, '%')
	if at < 0 {
		return nil
	}
	var b builder
	from, to := 0, len(s)
	if i := strings.LastIndexByte(s, '%'); i+2 >= len(s) && (i+1 == len(s) || digit(s[i+1]) >= 0) {
		to = i
	}
	for i := at; i+2 < len(s); {
		hi, lo := digit(s[i+1]), digit(s[i+2])
		if s[i] != '%' || hi < 0 || lo < 0 {
			i++
			continue
		}
		b.copy(s, from, i)
		b.add(string([]byte{byte(hi<<4 | lo)}), i, 3)
		i += 3
		from = i
	}
	b.copy(s, from, to)
	return b.view(to, true)
}

// ofMail has the escapes of quoted-printable undone (RFC 2045, 6.7): =2F, and = at the
// end of a line, which goes on in the next one.
func ofMail(s string) *view {
	at := strings.IndexByte(s, '=')
	if at < 0 {
		return nil
	}
	var b builder
	from, to := 0, len(strings.TrimSuffix(s, `\`))
	if i := strings.LastIndexByte(s[:to], '='); i >= 0 && i+2 >= to && (i+1 == to || digit(s[i+1]) >= 0) {
		to = i
	}
	for i := at; i < to; i++ {
		if s[i] != '=' {
			continue
		}
		if n := lineEnd(s[i+1:]); n > 0 {
			b.copy(s, from, i)
			from = i + 1 + n
		} else if i+2 < to && digit(s[i+1]) >= 0 && digit(s[i+2]) >= 0 {
			b.copy(s, from, i)
			b.add(string([]byte{byte(digit(s[i+1])<<4 | digit(s[i+2]))}), i, 3)
			from = i + 3
		} else {
			continue
		}
		i = from - 1
	}
	if len(b.turns) == 0 && from == 0 && to == len(s) {
		return nil
	}
	b.copy(s, from, to)
	return b.view(max(from, to), true)
}

// unquoted has the escapes of JSON, of languages like it and of HTML undone, once:
// \/, \u002f, \x2f, \=, &#47;, &#x2F;, &sol;. The ends of lines are of [joinedLines].
func unquoted(s string) *view {
	at := strings.IndexAny(s, `\&`)
	if at < 0 {
		return nil
	}
	var b builder
	from := 0
	for i := at; i < len(s); {
		if s[i] != '\\' && s[i] != '&' {
			i++
			continue
		}
		char, n := meant(s[i:])
		if n == 0 { // it may go on
			b.copy(s, from, i)
			return b.view(i, true)
		}
		if char != "" {
			b.copy(s, from, i)
			b.add(char, i, n)
			from = i + n
		}
		i += n
	}
	b.copy(s, from, len(s))
	return b.view(len(s), true)
}

// meant is the character that an escape, with which a text begins, stands for, and the
// length of that; no character when it is none, and no length when the text ends in it.
func meant(s string) (char string, n int) {
	if s[0] == '&' {
		end := strings.IndexByte(s[:min(len(s), longestEntity)], ';')
		switch inner := strings.IndexFunc(s[1:], func(r rune) bool { return r > 0x7f || r != '#' && !letter(byte(r)|0x20) }); {
		case inner < 0 && len(s) < longestEntity:
			return "", 0
		case end < 0 || inner+1 != end:
			return "", 1
		}
		if char = html.UnescapeString(s[:end+1]); char == s[:end+1] {
			char = ""
		}
		return char, end + 1
	}
	if len(s) == 1 {
		return "", 0
	}
	width := map[byte]int{'u': 4, 'x': 2}[s[1]]
	switch {
	case width == 0 && s[1] > ' ' && s[1] < 0x7f && !letter(s[1]|0x20):
		return s[1:2], 2
	case width == 0:
		return "", 1
	}
	digits := s[2:min(len(s), 2+width)]
	code, err := strconv.ParseUint(digits, 16, 16)
	switch {
	case digits != "" && err != nil:
		return "", 1
	case len(digits) < width:
		return "", 0
	case width == 2:
		return string([]byte{byte(code)}), 4
	}
	return string(rune(code)), 6
}

const longestEntity = 12 // bytes, such as &#x0000002f;

const mostBetween = 6 // characters between two bytes, such as `, 0x`

// bareDigits has the hexadecimal digits of a text, in lower case, two for a byte, where
// bytes are set apart by what programs put there: 73:65, 73 65, \x73\x65, 0x73, 0x65.
// What separates two runs of them is one line end.
func bareDigits(s string) *view {
	var b builder
	last := 0
	for i := 0; i+1 < len(s); {
		switch { // most bytes are none
		case digits[s[i+1]] < 0:
			i += 2
			continue
		case digits[s[i]] < 0:
			i++
			continue
		}
		end, bytes, apart := run(s, i)
		if apart && (bytes >= MinSecret || end+mostBetween >= len(s)) {
			if b.b.Len() > 0 {
				b.add("\n", i-1, 1)
			}
			for at := i; at < end; {
				b.add(strings.ToLower(s[at:at+2]), at, 2)
				at += 2
				at += between(s[at:])
			}
			last = end
		}
		i = end
	}
	if b.b.Len() == 0 {
		return nil
	}
	if rest := s[last:]; len(rest)-between(rest) > 1 { // more than one half of the next byte
		b.add("\n", last, 1)
	}
	return b.view(len(s), false)
}

// run is a run of bytes in hexadecimal that begins at i: where it ends, how many they
// are, and whether something is between them, or behind the last one.
func run(s string, i int) (end, bytes int, apart bool) {
	for {
		i += 2
		bytes++
		if pairs(s, i) {
			continue
		}
		n := between(s[i:])
		apart = apart || n > 0
		if !pairs(s, i+n) {
			return i, bytes, apart
		}
		i += n
	}
}

// pairs reports whether two digits stand in a text at i, of which nothing is between.
func pairs(s string, i int) bool {
	return i+1 < len(s) && digits[s[i]] >= 0 && digits[s[i+1]] >= 0
}

// between is the length of what sets apart two bytes, which a text begins with: 0 when
// it is nothing or something else.
func between(s string) int {
	n := 0
	for n < len(s) && n < mostBetween {
		switch {
		case setsApart[s[n]]:
			n++
			continue
		case s[n] == '0' && n+1 < len(s) && (s[n+1] == 'x' || s[n+1] == 'X'):
			n += 2
			continue
		}
		break
	}
	return n
}

// setsApart are the characters that programs put between two bytes.
var setsApart = func() (all [256]bool) {
	for _, c := range []byte(" \t\r\n:,;-_.\\%&#\"'xX") {
		all[c] = true
	}
	return all
}()

func digit(c byte) int { return int(digits[c]) }

// digits are the values of hexadecimal digits; of all else -1.
var digits = func() (all [256]int8) {
	for i := range all {
		all[i] = int8(strings.IndexByte("0123456789abcdef", byte(i)))
	}
	for c := 'A'; c <= 'F'; c++ {
		all[c] = int8(c-'A') + 10
	}
	return all
}()
