package guard

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"mgx"
)

// Line returns a text of one line that a person gives, to name or describe something,
// in the form in which it is kept: without space around it. It is the one rule for such
// texts, which others read in lists, logs and terminals: nothing is in it that ends the
// line, cannot be seen, or changes how what is around it is shown, so that what looks
// like a name is it. The error has the given code and says what is wrong with what
// ("a name"), which has at most so many characters.
func Line(code, what, text string, most int) (string, error) {
	text = strings.TrimSpace(text)
	if !utf8.ValidString(text) {
		return "", mgx.Errorf(mgx.KindUsage, code, "%s is text in UTF-8", what)
	}
	if utf8.RuneCountInString(text) > most {
		return "", mgx.Errorf(mgx.KindUsage, code, "%s has at most %d characters", what, most)
	}
	for _, r := range text {
		if !unicode.IsGraphic(r) || Hidden(r) || r == blank {
			return "", mgx.Errorf(mgx.KindUsage, code, "%s is one line of what can be seen, and this one has the character U+%04X in it, which cannot be, or changes how others are shown; leave it out", what, r)
		}
	}
	return text, nil
}

// blank is the one symbol that shows nothing. Programs draw with it, so that it is not
// taken out of what they print.
const blank = 0x2800
