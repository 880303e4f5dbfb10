package client

import (
	"context"
	"encoding/json"
	"net/url"

	"mgx"
)

// Contract describes an event type.
type Contract struct {
	Type          mgx.EventType     `json:"type"`
	Version       string            `json:"version"`  // the latest
	Versions      []string          `json:"versions"` // that are served
	Category      string            `json:"category"`
	Owner         string            `json:"owner"`
	Title         string            `json:"title"`
	Description   string            `json:"description"`
	RetentionDays int               `json:"retention_days"` // unless something else is set
	Delivery      string            `json:"delivery"`
	Schema        json.RawMessage   `json:"schema,omitempty"` // JSON Schema of the data of the latest version; lists have none
	Examples      []json.RawMessage `json:"examples,omitempty"`
}

// Schemas lists every type of events.
func (c *Client) Schemas(ctx context.Context) ([]Contract, error) {
	var all struct {
		Schemas []Contract `json:"schemas"`
	}
	return all.Schemas, c.get(ctx, "/api/v1/events/schemas", nil, &all)
}

// Schema is all about one type of events.
func (c *Client) Schema(ctx context.Context, t mgx.EventType) (one Contract, err error) {
	return one, c.get(ctx, schemaPath(t), nil, &one)
}

// SchemaVersion is the JSON Schema of one version of a type.
func (c *Client) SchemaVersion(ctx context.Context, t mgx.EventType, version string) (schema json.RawMessage, err error) {
	return schema, c.get(ctx, schemaPath(t)+"/"+url.PathEscape(version), nil, &schema)
}

func schemaPath(t mgx.EventType) string {
	return "/api/v1/events/schemas/" + url.PathEscape(string(t))
}
