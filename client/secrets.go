package client

import (
	"context"
	"net/http"
	"net/url"

	"mgx"
)

// Secrets are those of the workspace. A value goes in and never comes out.
type Secrets struct{ c *Client }

// Secrets is what can be done with secrets.
func (c *Client) Secrets() Secrets { return Secrets{c} }

// List lists them by name, without their values.
func (s Secrets) List(ctx context.Context) ([]mgx.SecretInfo, error) {
	return pages[mgx.SecretInfo](ctx, s.c, "/api/v1/secrets", "secrets")
}

// Set keeps a value as the next version of a secret.
func (s Secrets) Set(ctx context.Context, name, value string) (kept mgx.SecretInfo, err error) {
	return kept, s.c.send(ctx, http.MethodPut, "/api/v1/secrets/"+url.PathEscape(name), nil, map[string]string{"value": value}, &kept)
}

// Remove forgets a secret, in all its versions.
func (s Secrets) Remove(ctx context.Context, name string) error {
	return s.c.send(ctx, http.MethodDelete, "/api/v1/secrets/"+url.PathEscape(name), nil, nil, nil)
}

// Rotate gives the workspace a new key and seals every secret anew.
func (s Secrets) Rotate(ctx context.Context) error {
	return s.c.send(ctx, http.MethodPost, "/api/v1/secrets/rotation", nil, nil, nil)
}
