package client

import (
	"context"
	"net/http"
	"net/url"

	"mgx"
)

type quotas struct {
	Quotas []mgx.QuotaUse `json:"quotas"`
}

// Quotas returns how the quotas of a workspace stand; empty: those of the client's
// own, which is for its members.
func (c *Client) Quotas(ctx context.Context, ws mgx.WorkspaceID) ([]mgx.QuotaUse, error) {
	path := "/api/v1/quotas"
	if ws != "" {
		path += "/" + url.PathEscape(string(ws))
	}
	var q quotas
	err := c.send(ctx, http.MethodGet, path, nil, nil, &q)
	return q.Quotas, err
}

// SetQuotas sets quotas of a workspace by their names; nil removes one. It is for
// who runs the installation.
func (c *Client) SetQuotas(ctx context.Context, ws mgx.WorkspaceID, set map[string]*int64) ([]mgx.QuotaUse, error) {
	var q quotas
	err := c.send(ctx, http.MethodPatch, "/api/v1/quotas/"+url.PathEscape(string(ws)), nil, map[string]any{"quotas": set}, &q)
	return q.Quotas, err
}
