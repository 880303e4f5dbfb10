package mgx

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// IsText reports whether all of them are what every database keeps as text: UTF-8
// without a zero byte.
func IsText(all ...string) bool {
	return !slices.ContainsFunc(all, func(s string) bool { return strings.ContainsRune(s, 0) || !utf8.ValidString(s) })
}

// ToText is a text without what makes it none.
func ToText(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "") }
