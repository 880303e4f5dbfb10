package main

import (
	"context"
	"os"
	"strings"

	"mgx"
	"mgx/internal/access/oidc"
)

// openProviders reads the file of OpenID providers at which people may sign in. Its
// client secrets are hidden wherever this process writes.
func (n *node) openProviders(file string, getenv func(string) string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return mgx.Errorf(mgx.KindConfig, "bad_oidc", "the file of OpenID providers, %s, cannot be read: %w", file, err)
	}
	all, err := oidc.ReadConfig(text)
	if err != nil {
		return err
	}
	for _, c := range all {
		secret, err := n.clientSecret(c, getenv)
		if err != nil {
			return err
		}
		n.providers = append(n.providers, oidc.New(c, oidc.Options{Secret: secret}))
	}
	return nil
}

// clientSecret returns what hands out the secret of a client; nil: it has none. One
// in the environment or a file is there at the start, or the server does not start.
func (n *node) clientSecret(c oidc.Config, getenv func(string) string) (func(context.Context) (string, error), error) {
	purpose := "the OpenID provider " + c.Name
	value, from := "", ""
	switch {
	case c.SecretName != "":
		return func(ctx context.Context) (string, error) {
			return n.useSecret(mgx.ForInstallation(ctx), mgx.DefaultWorkspace, c.SecretName, purpose)
		}, nil
	case c.SecretEnv != "":
		value, from = getenv(c.SecretEnv), "the environment variable "+c.SecretEnv
	case c.SecretFile != "":
		text, private, err := readPrivately(c.SecretFile)
		if err != nil {
			return nil, mgx.Errorf(mgx.KindConfig, "bad_oidc", "the client secret of %s, in %s, cannot be read: %w", purpose, c.SecretFile, err)
		}
		if !private {
			return nil, mgx.Errorf(mgx.KindConfig, "secret_readable", "others can read %s; chmod 600 %s, and if anyone may have read it, have the provider make another", c.SecretFile, c.SecretFile)
		}
		value, from = strings.TrimSpace(string(text)), "the file "+c.SecretFile
	default:
		return nil, nil
	}
	if value == "" {
		return nil, mgx.Errorf(mgx.KindConfig, "bad_oidc", "%s needs a client secret, and %s is empty", purpose, from)
	}
	n.redact.Own().Add(value)
	return func(context.Context) (string, error) { return value, nil }, nil
}

// invitationAt is where somebody accepts an invitation in a browser. What comes
// behind # is sent to nobody, so it is in no log.
func invitationAt(url, token string) string { return url + "/invitation#" + token }
