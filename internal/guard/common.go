package guard

import (
	"net/netip"
	"strings"
)

// Bounds of what is commonplace, in bytes.
const (
	longestWord  = 16 // letters, and dashes
	longestWords = 40 // words joined as names are
	longestDate  = 36
	idLength     = 26 // of the part of an id that tells it from others
)

// Commonplace reports whether a value cannot be told from words that texts have
// anyway: names of fields, types of events, actions, roles and addresses such as
// run.created, workspace_id and alice@a.example, one word of a language, an id, a time,
// a short number, the same character again and again. Hiding one would take apart what
// has it by chance. What is part of a name that is commonplace is so as well.
func Commonplace(value string) bool {
	value = strings.TrimSpace(value)
	return few(value) || isNumeral(value) || isFixed(value) || isWords(value)
}

// isFixed reports whether a text as a whole is an id or an address of the network.
// Those are never hidden: whatever somebody calls a secret, a record tells who did
// what, to what and from where.
func isFixed(text string) bool {
	if isID(text) {
		return true
	}
	address, err := netip.ParseAddr(text)
	return err == nil && address.Zone() == "" // which may be any text
}

// few reports whether a value is made of three characters or less.
func few(value string) bool {
	seen := map[rune]bool{}
	for _, r := range value {
		if seen[r] = true; len(seen) > 3 {
			return false
		}
	}
	return true
}

// isNumeral reports whether a value is a number or a time.
func isNumeral(value string) bool {
	digits, others := 0, 0
	for _, r := range value {
		switch {
		case '0' <= r && r <= '9':
			digits++
		case strings.ContainsRune("-+:., TZ", r):
			others++
		default:
			return false
		}
	}
	return others == 0 && digits < 12 || others > 0 && len(value) < longestDate
}

// isID reports whether a value is an id as everything here has one, or begins or
// ends as one does.
func isID(value string) bool {
	kind, rest, joined := strings.Cut(value, "_")
	return joined && len(kind) <= 5 && letters(kind) && len(rest) == idLength && strings.Trim(strings.ToLower(rest), "0123456789abcdefghjkmnpqrstvwxyz") == ""
}

// isWords reports whether a value is letters and what joins them in a name: a word,
// or a longer name of several.
func isWords(value string) bool {
	for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune("._/@:- ", r) }) {
		if !letters(part) {
			return false
		}
	}
	joined := strings.ContainsAny(value, "._/@:") && !strings.ContainsAny(value, "- ")
	return len(value) < longestWord && !strings.Contains(value, " ") || joined && len(value) < longestWords
}

// letters reports whether a word is in lower case, in upper case, or begins with one
// letter of that.
func letters(word string) bool {
	if word == "" {
		return true
	}
	lower := func(s string) bool { return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == "" }
	return lower(word) || lower(strings.ToLower(word[:1])+word[1:]) || word == strings.ToUpper(word) && lower(strings.ToLower(word))
}
