package main

import (
	"context"
	"log/slog"

	"mgx"
	"mgx/internal/api"
	"mgx/internal/guard"
	"mgx/internal/sandbox"
	"mgx/internal/secret/transit"
)

// wrapper has HashiCorp Vault wrap the keys of workspaces, if the configuration says so.
// Nothing is asked of Vault before something needs it.
func (c *cli) wrapper(hide *guard.Redactor, log *slog.Logger) (*transit.Client, error) {
	if c.cfg.SecretsVault == "" {
		return nil, nil
	}
	o, err := transit.Load(c.cfg.SecretsVault)
	if err != nil {
		return nil, err
	}
	o.Getenv, o.Hide, o.Log = c.getenv, func(v string) { hide.Add(v) }, log
	return transit.New(o), nil
}

// keepToken keeps the token for Vault alive.
func (n *node) keepToken(ctx context.Context) {
	if n.wrapper != nil {
		n.wrapper.Keep(ctx)
	}
}

// leaveVault gives the token of a sign-in back.
func (n *node) leaveVault() {
	if n.wrapper == nil {
		return
	}
	if err := n.wrapper.Close(); err != nil {
		n.log.Debug("the token for HashiCorp Vault could not be given back", "error", err)
	}
}

// ringChecks are what /health/ready says of Vault. What needs no secrets goes on without.
func (n *node) ringChecks() []api.Check {
	if n.wrapper == nil {
		return nil
	}
	return []api.Check{{Name: "vault", Optional: true, Run: func(ctx context.Context) error {
		_, err := n.wrapper.Try(ctx)
		return err
	}}}
}

// doctorVault tries the Vault of the configuration.
func (c *cli) doctorVault(ctx context.Context) []sandbox.Report {
	check := sandbox.Check{Name: "vault", OK: true}
	w, err := c.wrapper(redactors().Own(), slog.New(slog.DiscardHandler))
	if err == nil && w == nil {
		return nil
	}
	if err == nil {
		defer w.Close()
		var token transit.Token
		token, err = w.Try(ctx)
		check.Detail = "wraps and unwraps; its token " + token.String()
	}
	if err != nil {
		check.OK, check.Detail = false, mgx.AsError(err).Message
	}
	return []sandbox.Report{{Driver: "key ring of the secrets", Checks: []sandbox.Check{check}}}
}
