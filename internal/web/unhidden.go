package web

import (
	"bytes"
	"fmt"
	"unicode"
	"unicode/utf8"

	"mgx/internal/guard"
)

// unhidden is a page on which nothing hides in the words of others or turns them
// around, wherever they were put: such a character is shown as <U+202E>. Those that
// belong to emoji and to scripts that join letters are left out, as guard.Clean does;
// so is any within a tag, but in the value of a field, which is sent back as it is.
//
// The pages take care of it by themselves where it matters how (diffs, arguments,
// output). This is for what nobody thought of. Escaping has been done, so a < or > of the
// page is one of its tags.
func unhidden(page []byte) []byte {
	if bytes.IndexFunc(page, hides) < 0 {
		return page
	}
	var b bytes.Buffer
	for len(page) > 0 {
		i := bytes.IndexFunc(page, hides)
		if i < 0 {
			b.Write(page)
			break
		}
		b.Write(page[:i])
		r, n := utf8.DecodeRune(page[i:])
		switch attribute, within := tagAt(b.Bytes()); {
		case within && attribute == "value":
			b.Write(page[i : i+n])
		case !within && !joins(r):
			fmt.Fprintf(&b, "&lt;U+%04X&gt;", r)
		}
		page = page[i+n:]
	}
	return b.Bytes()
}

func hides(r rune) bool {
	return guard.Hidden(r) || unicode.IsControl(r) && r != '\n' && r != '\t' && r != '\r' || r == '\u2028' || r == '\u2029'
}

// joins reports whether a character only says how its neighbours look.
func joins(r rune) bool { return r == 0x200c || r == 0x200d || 0xfe00 <= r && r <= 0xfe0f }

// tagAt reports whether a page ends within a tag, and in the value of which attribute.
func tagAt(page []byte) (attribute string, within bool) {
	open := bytes.LastIndexByte(page, '<')
	if open < 0 || bytes.IndexByte(page[open:], '>') >= 0 {
		return "", false
	}
	tag := page[open:]
	at := bytes.LastIndex(tag, []byte(`="`))
	if at < 0 || bytes.IndexByte(tag[at+2:], '"') >= 0 {
		return "", true
	}
	name := tag[:at]
	return string(name[bytes.LastIndexAny(name, " \t\n")+1:]), true
}
