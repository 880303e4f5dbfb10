package guard

import (
	"net/url"
	"slices"
	"strings"
)

// SecretsFromEnv picks, from "NAME=value" entries, the values that must not be
// shown: those whose name says so, and, whatever the name, what is secret inside of
// a value (see [SecretsIn]). It prefers too many to too few.
func SecretsFromEnv(environ []string) []string {
	var secrets []string
	for _, entry := range environ {
		_, found := ofVariable(entry)
		secrets = append(secrets, found...)
	}
	return tidy(secrets)
}

// CommonplaceIn names the variables of which something is taken for a secret that is
// [Commonplace], and so is hidden nowhere.
func CommonplaceIn(environ []string) (names []string) {
	for _, entry := range environ {
		if name, found := ofVariable(entry); slices.ContainsFunc(tidy(found), Commonplace) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ofVariable is what is taken for secret in an entry of an environment.
func ofVariable(entry string) (name string, secrets []string) {
	name, value, _ := strings.Cut(entry, "=")
	secrets = SecretsIn(value)
	if secretName(name) {
		secrets = append(secrets, value)
	}
	return name, secrets
}

// SecretsIn picks what is secret inside of a setting, whole or as one of a list:
// the password of an address, the user of a web address without one, which is a
// token, and what stands after the name of a secret, as in a query, a list of
// headers or options of a program.
func SecretsIn(value string) []string {
	pieces := strings.FieldsFunc(value, separates)
	for part := range strings.SplitSeq(value, ",") { // it may have spaces
		pieces = append(pieces, strings.TrimSpace(part))
	}
	secrets := inAddress(value)
	for _, piece := range pieces {
		secrets = append(secrets, inAddress(piece)...)
		secrets = append(secrets, afterName(piece)...)
	}
	return tidy(secrets)
}

func separates(r rune) bool { return r <= ' ' || strings.ContainsRune(",;&|?", r) }

// inAddress is the password of an address, as it is written and as it is meant, or
// the user of one without.
func inAddress(text string) []string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return nil
	}
	authority, _, _ := strings.Cut(text[strings.Index(text, "://")+len("://"):], "/")
	user, written, _ := strings.Cut(authority[:max(0, strings.LastIndex(authority, "@"))], ":")
	if password, ok := u.User.Password(); ok {
		return []string{password, written}
	}
	if slices.Contains([]string{"http", "https", "nats", "tls"}, u.Scheme) {
		return []string{u.User.Username(), user}
	}
	return nil
}

// afterName is the value of NAME=value, also percent-encoded, as headers in the
// environment are, and without a word before it, such as Bearer.
func afterName(text string) []string {
	name, value, found := strings.Cut(text, "=")
	if !found || strings.ContainsFunc(name, func(r rune) bool { return !wordy(r) }) || !secretName(name) {
		return nil
	}
	secrets := []string{value}
	if plain, err := url.PathUnescape(value); err == nil {
		secrets = append(secrets, plain)
		if words := strings.Fields(plain); len(words) > 1 {
			secrets = append(secrets, words[len(words)-1])
		}
	}
	return secrets
}

func wordy(r rune) bool {
	return r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func tidy(secrets []string) []string {
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < MinSecret })
	slices.Sort(secrets)
	return slices.Compact(secrets)
}

// secretName reports whether a variable's name says that its value is secret.
func secretName(name string) bool {
	name = strings.ToUpper(name)
	if name == "PWD" || name == "OLDPWD" {
		return false // directories
	}
	for _, part := range []string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "COOKIE", "BEARER", "AUTHORIZATION"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	words := strings.FieldsFunc(name, func(c rune) bool { return c == '_' || c == '-' || c == '.' })
	return slices.ContainsFunc(words, secretWord) || len(words) > 0 && words[len(words)-1] == "AUTH"
}

// secretWord reports whether a word within a name marks a secret. AUTH does only
// at the end: SSH_AUTH_SOCK is a path, NPM_AUTH is not.
func secretWord(w string) bool {
	return strings.HasSuffix(w, "KEY") || strings.HasSuffix(w, "KEYS") ||
		slices.Contains([]string{"PASS", "PWD", "PAT", "DSN", "CREDS"}, w)
}
