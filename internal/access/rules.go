package access

import (
	_ "embed"
	"net/mail"
	"strings"
	"unicode/utf8"

	"mgx"
	"mgx/internal/guard"
)

// Bounds of a password, in characters and bytes.
const (
	MinPassword = 12
	maxPassword = 1024
)

//go:embed common.txt
var commonPasswords string

// CheckPassword refuses passwords that are guessed first: short ones, common ones
// and what is known of the person. It asks for no kinds of characters (NIST SP
// 800-63B, 3.1.1.2).
func CheckPassword(password, email, name string) error {
	bad := func(why string) error {
		return mgx.Errorf(mgx.KindUsage, "weak_password", "%s; take %d characters or more, such as four words of your choice", why, MinPassword)
	}
	lower := strings.ToLower(password)
	local, _, _ := strings.Cut(email, "@")
	switch {
	case !utf8.ValidString(password) || len(password) > maxPassword:
		return mgx.Errorf(mgx.KindUsage, "weak_password", "a password is text of at most %d bytes", maxPassword)
	case utf8.RuneCountInString(password) < MinPassword:
		return bad("the password is too short")
	case isCommon(lower), repeats(lower):
		return bad("the password is one of the first that would be guessed")
	case lower == email, len(local) >= 4 && strings.Trim(lower, "0123456789") == local, lower == strings.ToLower(name):
		return bad("the password is your name or address")
	}
	return nil
}

func isCommon(password string) bool {
	for word := range strings.FieldsSeq(commonPasswords) {
		if word == password {
			return true
		}
	}
	return false
}

// repeats reports whether a text is a short piece over and over.
func repeats(text string) bool {
	for n := 1; n <= 4; n++ {
		if strings.Repeat(text[:n], len(text)/n+1)[:len(text)] == text {
			return true
		}
	}
	return false
}

// Email returns an address in the form in which it is kept.
func Email(text string) (string, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || len(text) > 254 || strings.ContainsAny(text, " \"<>\r\n\t") {
		return "", mgx.Errorf(mgx.KindUsage, "bad_email", "an address looks like name@example.com")
	}
	return guard.Line("bad_email", "an address", text, 254)
}

// Name returns the name of a person or a thing in the form in which it is kept.
func Name(text string) (string, error) {
	text, err := guard.Line("bad_name", "a name", text, 100)
	if err == nil && text == "" {
		err = mgx.Errorf(mgx.KindUsage, "bad_name", "a name has 1 to 100 characters")
	}
	return text, err
}
