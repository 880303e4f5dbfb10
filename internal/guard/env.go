package guard

import (
	"net/url"
	"slices"
	"strings"
)

// SecretsFromEnv picks, from "NAME=value" entries, the values that must not be
// shown: those whose name says so, and passwords inside addresses, whatever the
// name. It prefers too many to too few.
func SecretsFromEnv(environ []string) []string {
	var secrets []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if secretName(name) {
			secrets = append(secrets, value)
		}
		if u, err := url.Parse(value); err == nil {
			if password, ok := u.User.Password(); ok {
				secrets = append(secrets, password)
			}
		}
	}
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
	for _, part := range []string{"TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "COOKIE", "BEARER"} {
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
